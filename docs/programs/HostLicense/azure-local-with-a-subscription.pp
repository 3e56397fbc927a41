resource "node01" "avma:index:HostLicense" {
  host          = "node01.example.com"
  licenseSource = "subscription"
}

output "subscriptionStatus" {
  value = node01.subscriptionStatus
}
