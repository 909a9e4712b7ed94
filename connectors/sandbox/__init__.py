"""What every sandbox shares: a loopback server, faults on request, a request journal and certificates."""
