"""Remote shells: cmd.exe (WinRS), Windows PowerShell (PSRP), their commands, and the scripts of the provider."""
