/** `npm run testbed`: a real etcd and kube-apiserver to play with, until Ctrl-C. */
import { once } from 'node:events'
import { startApiServer } from '../test/testbed/api-server.ts'

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort())

await using server = await startApiServer()
const kubeconfig = await server.kubeconfig()
console.log(`A kube-apiserver without nodes runs at ${server.url}. Ctrl-C ends it and removes all of it.

In another terminal, here:

  export KUBECONFIG=${kubeconfig}
  npx node src/main.ts run --config examples/stdout/deltawire.yaml

and in a third one, with kubectl or without it:

  kubectl --kubeconfig ${kubeconfig} create configmap hello --from-literal=from=testbed

  curl --cacert ${server.caFile} -H 'authorization: Bearer ${server.token('admin')}' \\
    -H 'content-type: application/json' -d '{"metadata":{"name":"hallo"}}' \\
    ${server.url}/api/v1/namespaces/default/configmaps`)
if (!stop.signal.aborted) await once(stop.signal, 'abort')
