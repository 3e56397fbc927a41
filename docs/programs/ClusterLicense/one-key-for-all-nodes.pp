config "productKey" "string" {
  secret = true
}

resource "cl01" "avma:index:ClusterLicense" {
  cluster    = "cl01.example.com"
  productKey = productKey
}

output "licensedNodes" {
  value = cl01.licensedNodes
}
