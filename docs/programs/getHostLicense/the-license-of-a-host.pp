hv01 = invoke("avma:index:getHostLicense", {
  host = "hv01.example.com"
})

output "edition" {
  value = hv01.edition
}

output "osVersion" {
  value = hv01.osVersion
}
