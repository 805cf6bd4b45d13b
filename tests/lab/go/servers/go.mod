module kubectl-svcprobe/lab/servers

go 1.24.0
