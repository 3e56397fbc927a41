config "guestPassword" "string" {
  secret = true
}

resource "hv01" "avma:index:HostLicense" {
  host = "hv01.example.com"
}

resource "web01" "avma:index:VmActivation" {
  host   = hv01.host
  vmName = "web01"
  guest = {
    username = "Administrator"
    password = guestPassword
  }
}

output "activatedByHost" {
  value = web01.activatedByHost
}
