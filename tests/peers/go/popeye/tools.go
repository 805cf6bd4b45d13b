//go:build tools

package main

import _ "github.com/derailed/popeye" // built by peers.py; named here so that go mod tidy keeps its dependencies
