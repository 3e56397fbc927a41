resource "hv01" "avma:index:HostLicense" {
  host = "hv01.example.com"
}

output "licenseChannel" {
  value = hv01.licenseChannel
}
