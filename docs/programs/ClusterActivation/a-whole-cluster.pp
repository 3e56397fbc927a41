config "guestPassword" "string" {
  secret = true
}

resource "guests" "avma:index:ClusterActivation" {
  cluster = "cl01.example.com"
  exclude = ["test-*"]
  guest = {
    username = "Administrator"
    password = guestPassword
  }
}

output "activated" {
  value = guests.activated
}
