"""Backends that keep each attempt as a resource of a Kubernetes cluster. Imported only where jobs run: lightkube is not light."""
