import { apiServerContract } from '../api-server-contract.ts'
import { startApiServer } from '../testbed/api-server.ts'

apiServerContract('kube-apiserver', async () => {
  const server = await startApiServer()
  return {
    url: server.url,
    token: server.token('admin'),
    limitedToken: server.token('limited'),
    ca: server.ca,
    // A running server still has its cache, and etcd its history: both have to go
    async forget() {
      await server.kill()
      await server.compact()
      await server.start()
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
})
