"""WinRM: listeners, certificates, authentication, message encryption, and the service that answers each message."""
