import { join } from 'node:path'
import type { TestApiServer } from '../../testbed/api-server.ts'
import { use } from '../../testbed/component.ts'
import { kubernetesNode } from '../../testbed/kubernetes-components.ts'
import { Workspace } from '../../testbed/workspace.ts'

/** kube-controller-manager with one of its controllers alone, until it is disposed. */
export async function startController(server: TestApiServer, controller: string): Promise<AsyncDisposable> {
  const programs = await use(kubernetesNode)
  const workspace = await Workspace.create('controller')
  workspace.start(controller, join(programs, 'kube-controller-manager'), [
    `--kubeconfig=${await server.kubeconfig()}`,
    `--controllers=${controller}`,
    '--leader-elect=false',
    '--secure-port=0',
    // its usual 20 calls a second make its start 4 s longer
    '--kube-api-qps=1000',
    '--kube-api-burst=1000',
  ])
  return workspace
}
