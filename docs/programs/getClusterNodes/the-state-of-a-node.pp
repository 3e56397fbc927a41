cl01 = invoke("avma:index:getClusterNodes", {
  cluster = "cl01.example.com"
})

output "firstNode" {
  value = cl01.nodes[0].node
}

output "state" {
  value = cl01.nodes[0].state
}
