//go:build tools

package main

import (
	_ "go.universe.tf/metallb/controller" // built by build.py; named here so that go mod tidy keeps its dependencies
	_ "go.universe.tf/metallb/speaker"
)
