//go:build tools

package main

import _ "k8s.io/kubernetes/test/images/agnhost" // built by build.py; named here so that go mod tidy keeps its dependencies
