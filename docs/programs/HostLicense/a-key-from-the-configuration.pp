config "productKey" "string" {
  secret = true
}

resource "hv01" "avma:index:HostLicense" {
  host              = "hv01.example.com"
  productKey        = productKey
  productKeyVersion = "2025"
}

output "activatesGuests" {
  value = hv01.activatesGuests
}
