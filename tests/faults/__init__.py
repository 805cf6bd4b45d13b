"""Every way to break a Service that the lab can produce, as data, and what the command has to say of each."""

from .fault import Fault, load_all, some_of_each
from .judge import Judgement
from .stage import Trial, trials

__all__ = ["Fault", "Judgement", "Trial", "load_all", "some_of_each", "trials"]
