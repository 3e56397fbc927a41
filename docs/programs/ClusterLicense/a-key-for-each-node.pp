config "firstKey" "string" {
  secret = true
}

config "secondKey" "string" {
  secret = true
}

resource "cl01" "avma:index:ClusterLicense" {
  nodes = ["hv01.example.com", "hv02.example.com"]
  productKeys = {
    "hv01.example.com" = firstKey
    "hv02.example.com" = secondKey
  }
}

output "licensedNodes" {
  value = cl01.licensedNodes
}
