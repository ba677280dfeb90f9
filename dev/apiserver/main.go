// Command kube-apiserver is the API server of Kubernetes itself, unchanged, built as a module of its own for the tests: no distribution
// packages it and its released binaries are not reachable everywhere.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	os.Exit(cli.Run(app.NewAPIServerCommand()))
}
