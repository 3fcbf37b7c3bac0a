import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { KubeConfigError, type KubeConfigOptions, loadKubeConfig } from './kube-config.ts'

const FILE = `
apiVersion: v1
kind: Config
current-context: blue
clusters:
  - { name: one, cluster: { server: 'https://one:6443/', certificate-authority: ca.crt } }
  - { name: two, cluster: { server: 'http://two:8001' } }
users:
  - { name: ann, user: { token: secret-token } }
contexts:
  - { name: blue, context: { cluster: one, user: ann, namespace: shop } }
  - { name: green, context: { cluster: two } }
  - { name: lost, context: { cluster: nowhere, user: ann } }
  - { name: nobody, context: { cluster: one, user: bob } }
`

/** A home of its own for one test, without KUBECONFIG. */
function home(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'deltawire-'))
  const { HOME, KUBECONFIG } = process.env
  process.env.HOME = path
  delete process.env.KUBECONFIG
  context.after(() => {
    Object.assign(process.env, { HOME, ...(KUBECONFIG !== undefined && { KUBECONFIG }) })
    rmSync(path, { recursive: true })
  })
  return path
}

function write(path: string, text: string): string {
  writeFileSync(path, text)
  return path
}

const summary = (options: KubeConfigOptions) => {
  const config = loadKubeConfig(options)
  return [config.getCurrentContext(), config.getCurrentCluster()?.server, config.getCurrentUser()?.token]
}

const refused = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof KubeConfigError)
  assert.match(error.message, message)
  assert.ok(!error.message.includes('secret-token') && error.cause === undefined)
  return true
}

test('the file, the context and the server are those that are given', (context) => {
  const kubeconfig = write(join(home(context), 'config'), FILE)
  assert.deepEqual(summary({ kubeconfig }), ['blue', 'https://one:6443', 'secret-token'])
  assert.deepEqual(summary({ kubeconfig, context: 'green' }), ['green', 'http://two:8001', undefined])
  assert.deepEqual(summary({ kubeconfig, master: 'https://three' }), ['blue', 'https://three', 'secret-token'])
  const config = loadKubeConfig({ kubeconfig })
  assert.equal(config.getCurrentCluster()?.caFile, join(kubeconfig, '..', 'ca.crt'))
  assert.equal(config.getContextObject('blue')?.namespace, 'shop')
})

test('without a file: KUBECONFIG, then the one in the home directory', (context) => {
  const path = home(context)
  mkdirSync(join(path, '.kube'))
  write(join(path, '.kube', 'config'), FILE)
  assert.deepEqual(summary({}), ['blue', 'https://one:6443', 'secret-token'])
  process.env.KUBECONFIG = write(join(path, 'other'), FILE.replace('current-context: blue', 'current-context: green'))
  assert.deepEqual(summary({}), ['green', 'http://two:8001', undefined])
})

test('a server alone is enough, without credentials; plain HTTP works', async (context) => {
  home(context)
  for (const master of ['http://127.0.0.1:8080', 'https://127.0.0.1:6443']) {
    assert.deepEqual(summary({ master }), ['master', master, undefined])
    await loadKubeConfig({ master }).applyToHTTPSOptions({})
  }
})

test('the CA holds for a context without a user', async (context) => {
  const path = home(context)
  write(join(path, 'ca.crt'), 'certificate')
  const anonymous = FILE.replace('cluster: one, user: ann', 'cluster: one')
  const options: { ca?: unknown } = {}
  await loadKubeConfig({ kubeconfig: write(join(path, 'config'), anonymous) }).applyToHTTPSOptions(options)
  assert.equal(String(options.ca), 'certificate')
})

test('what is wrong is said with the file and the way out, and without what the file holds', (context) => {
  const path = home(context)
  const kubeconfig = write(join(path, 'config'), FILE)
  const table: readonly (readonly [KubeConfigOptions, RegExp])[] = [
    [{}, /^no API server is configured: .*; give --kubeconfig FILE or --master URL$/],
    [{ context: 'blue' }, /^context blue not found: there is no kubeconfig$/],
    [{ kubeconfig: '/no/such/file' }, /^\/no\/such\/file: no such file; give --kubeconfig/],
    [{ kubeconfig: path }, /cannot be read: EISDIR/],
    [{ kubeconfig, context: 'bleu' }, /^context bleu not found in .*config; is blue meant\?$/],
    [{ kubeconfig, context: 'production' }, /; it has blue, green, lost, nobody$/],
    [{ kubeconfig, context: 'lost' }, /config: context lost names cluster nowhere, which is not there$/],
    [{ kubeconfig, context: 'nobody' }, /config: context nobody names user bob, which is not there$/],
    [{ kubeconfig, master: 'localhost:8080' }, /^--master localhost:8080 is not a URL; give one such as/],
    [{ kubeconfig, master: 'admin:pa@ss@localhost:8080' }, /^--master localhost:8080 is not a URL; give one such as/],
    [
      { kubeconfig: write(join(path, 'a'), FILE.replace('current-context: blue', '')) },
      /no current context; choose one with --context: blue, green, lost, nobody/,
    ],
    [{ kubeconfig: write(join(path, 'b'), '') }, /b cannot be read: /],
    [{ kubeconfig: write(join(path, 'c'), 'kind: Config') }, /has no current context; it has no contexts/],
    [
      { kubeconfig: write(join(path, 'd'), FILE.replace('token: secret-token }', 'token: secret-token')) },
      /d cannot be read: .*\(\d+:\d+\)/,
    ],
  ]
  for (const [options, message] of table)
    assert.throws(() => loadKubeConfig(options), refused(message), String(message))
})
