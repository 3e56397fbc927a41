config "guestPassword" "string" {
  secret = true
}

config "databasePassword" "string" {
  secret = true
}

resource "guests" "avma:index:ClusterActivation" {
  hosts = ["hv01.example.com", "hv02.example.com"]
  guest = {
    username = "Administrator"
    password = guestPassword
  }
  guests = {
    "db01" = {
      username = "db-admin"
      password = databasePassword
    }
  }
  unreachableGuests = "fail"
}

output "notActivated" {
  value = guests.notActivated
}
