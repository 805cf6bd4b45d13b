"""kubectl svcprobe: inspect a Service, try every way in, and say which hop is broken."""

__version__ = "0.1.0"
