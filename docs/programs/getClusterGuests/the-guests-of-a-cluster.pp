cl01 = invoke("avma:index:getClusterGuests", {
  cluster = "cl01.example.com"
})

output "activated" {
  value = cl01.activated
}

output "notActivated" {
  value = cl01.notActivated
}
