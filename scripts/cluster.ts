/** `npm run cluster`: a real Kubernetes of one node to play with, until Ctrl-C. */
import { once } from 'node:events'
import { startCluster } from '../test/testbed/cluster/cluster.ts'
import { requireAbility } from '../test/testbed/cluster/machine.ts'

try {
  requireAbility()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}

const started = performance.now()
const seconds = () => `${((performance.now() - started) / 1000).toFixed(1)} s`
// until it is there a signal ends this process as ever, and the node with it
await using cluster = await startCluster({ report: (step) => console.log(`${seconds().padStart(7)}  ${step}`) })
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort())
console.log(`
A Kubernetes of one node runs at ${cluster.url}. Ctrl-C ends it and removes all of it.

In another terminal, as root, here:

  export KUBECONFIG=${cluster.kubeconfig}
  alias kubectl=${cluster.kubectlFile}
  kubectl create deployment hello --image=${cluster.image} --replicas=2
  npx node src/main.ts run --config examples/stdout/deltawire.yaml

- Pods reach this machine at ${cluster.address}, and nothing beyond it. NodePorts are at ${cluster.nodeAddress}.
- Images are imported, not pulled: npm run cluster -- ARCHIVE... imports archives of images (docker or OCI). There is
  ${cluster.image}, which waits when it has no command.
- Pods reach services by name.`)
for (const archive of process.argv.slice(2)) {
  await cluster.importImage(archive)
  console.log(`Imported ${archive}.`)
}
if (!stop.signal.aborted) await once(stop.signal, 'abort')
