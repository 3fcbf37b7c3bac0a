import { writeFile } from 'node:fs/promises'

export interface KubeconfigOptions {
  /** URL. */
  readonly server: string
  /** Path of the CA, as PEM. */
  readonly ca: string
  /** `{ token }`, or what client-go knows besides. */
  readonly user: object
}

/** Writes one with a single context to `file`, and returns its path. */
export async function writeKubeconfig(file: string, { server, ca, user }: KubeconfigOptions): Promise<string> {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'testbed', cluster: { server, 'certificate-authority': ca } }],
    users: [{ name: 'bridge', user }],
    contexts: [{ name: 'bridge', context: { cluster: 'testbed', user: 'bridge' } }],
    'current-context': 'bridge',
  }
  await writeFile(file, JSON.stringify(config), { mode: 0o600 })
  return file
}
