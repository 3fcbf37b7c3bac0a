/** `npm run testbed`: a real etcd and kube-apiserver to play with, until Ctrl-C. */
import { once } from 'node:events'
import { startApiServer } from '../test/testbed/api-server.ts'

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort())

await using server = await startApiServer()
const kubeconfig = await server.kubeconfig()
console.log(`A kube-apiserver without nodes runs at ${server.url}. Ctrl-C ends it and removes all of it.

  export KUBECONFIG=${kubeconfig}

In another terminal, with that variable set, and kubectl if there is one:

  npx node src/main.ts run --config examples/stdout/deltawire.yaml
  kubectl create configmap hello --from-literal=from=testbed`)
if (!stop.signal.aborted) await once(stop.signal, 'abort')
