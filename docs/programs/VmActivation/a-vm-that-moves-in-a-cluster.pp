config "guestPassword" "string" {
  secret = true
}

resource "cl01" "avma:index:ClusterLicense" {
  cluster = "cl01.example.com"
}

resource "web01" "avma:index:VmActivation" {
  hosts  = ["hv01.example.com", "hv02.example.com"]
  vmName = "web01"
  guest = {
    transport = "winrm"
    username  = "Administrator"
    password  = guestPassword
  }
  onDelete = "restoreKmsClientKey"
  options {
    dependsOn = [cl01]
  }
}
