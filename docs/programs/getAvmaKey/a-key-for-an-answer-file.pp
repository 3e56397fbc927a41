standard2022 = invoke("avma:index:getAvmaKey", {
  version = "2022"
  edition = "Standard"
})

output "productKey" {
  value = standard2022.productKey
}
