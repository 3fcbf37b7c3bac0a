import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ExitCode } from './exit-code.ts'
import { type RbacOutput, rbac } from './rbac.ts'

async function run(sections: string, output: RbacOutput = 'manifests') {
  const folder = await mkdtemp(join(tmpdir(), 'deltawire-rbac-'))
  try {
    const file = join(folder, 'bridge.yaml')
    await writeFile(
      file,
      `apiVersion: deltawire.io/v1\nkind: Bridge\n${sections}sinks: [{ name: out, type: stdout }]\n`,
    )
    const out: string[] = []
    const err: string[] = []
    const code = await rbac({
      file,
      name: 'bridge',
      namespace: 'audit',
      output,
      env: {},
      stdout: { write: (text: string) => out.push(text) },
      stderr: { write: (text: string) => err.push(text) },
    })
    return { code, out: out.join(''), err: err.join('').replaceAll(file, 'bridge.yaml') }
  } finally {
    await rm(folder, { recursive: true })
  }
}

test('list and watch on what the sources name are bound to the service account, and nothing else', async () => {
  assert.deepEqual(await run('cluster: prod\nsources: [{ resources: [pods, widgets.v1.example.com] }]\n'), {
    code: ExitCode.done,
    out: `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: audit-bridge
rules:
  - apiGroups:
      - ""
    resources:
      - pods
    verbs:
      - list
      - watch
  - apiGroups:
      - example.com
    resources:
      - widgets
    verbs:
      - list
      - watch
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: audit-bridge
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: audit-bridge
subjects:
  - kind: ServiceAccount
    name: bridge
    namespace: audit
`,
    err: '',
  })
})

test('values for the chart say the same in fewer words', async () => {
  const sources = 'sources: [{ resources: [pods], namespaces: [shop] }]\n'
  assert.deepEqual(await run(`cluster: prod\n${sources}`, 'values'), {
    code: ExitCode.done,
    out: `rbac:
  namespaceRules:
    - namespace: shop
      rules:
        - apiGroups:
            - ""
          resources:
            - pods
          verbs:
            - list
            - watch
`,
    err: '',
  })
})

test('Secrets are only watched with two words for it, and the values hold the second', async () => {
  const { out } = await run('cluster: prod\nsources: [{ resources: [secrets], allowSecrets: true }]\n', 'values')
  assert.match(out, /^rbac:\n {2}allowSecrets: true\n/)
})

test('a right in the cluster that a name of the cluster would spare is pointed out', async () => {
  const { code, out, err } = await run('sources: [{ resources: [pods], namespaces: [shop] }]\n')
  assert.equal(code, ExitCode.done)
  assert.match(out, /resourceNames:\n {6}- kube-system\n {4}verbs:\n {6}- get\n/)
  assert.equal(
    err,
    'warning: bridge.yaml: cluster is not set, so namespace kube-system is read, which takes a right in the cluster; ' +
      'set cluster and rights in the namespaces alone will do\n',
  )
})

test('a resource whose API group is not said is refused, with the way to find it', async () => {
  assert.deepEqual(await run('sources: [{ resources: [pods, deployments] }]\n'), {
    code: ExitCode.usage,
    out: '',
    err:
      'bridge.yaml: sources[0].resources[1]: deployments may be of any API group, and rights are given by group: ' +
      'write it as `kubectl api-resources -o name` prints it, for example deployments.apps\n',
  })
})
