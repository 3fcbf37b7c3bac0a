import { apiServerContract, type ContractServer, unstreamedListsContract } from '../api-server-contract.ts'
import { type ApiServerOptions, startApiServer } from '../testbed/api-server.ts'

async function start(options: ApiServerOptions = {}): Promise<ContractServer> {
  const server = await startApiServer(options)
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
}

apiServerContract('kube-apiserver', () => start())
unstreamedListsContract('kube-apiserver', () => start({ flags: ['--feature-gates=WatchList=false'] }))
