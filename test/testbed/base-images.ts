/**
 * What the Dockerfile builds on, made on this machine for want of a registry: Node as npm has it, with the libraries that
 * it needs. Less is in them than in the images whose names they bear, so what works on them works on those.
 */
import { execFile } from 'node:child_process'
import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { promisify } from 'node:util'
import { type Component, fileOf, install } from './component.ts'
import { release } from './debian-packages.ts'

const run = promisify(execFile)

/** A folder with a Dockerfile, and the name that others build on it by. */
export interface BaseImage {
  readonly name: string
  readonly folder: string
}

const NPM = '11.19.1'
/** Where a build finds the machine's certificates: its npm registry may be behind a proxy with its own. */
export const extraCertificates = '/etc/ssl/certs/extra.crt'
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

const baseImages: Component = {
  name: 'base-images',
  version: `node-${process.versions.node}-npm-${NPM}-${release()}`,
  file: '.',
  needs: { npm: 'npm, from the package npm', ldd: 'Linux with glibc' },
  async install(folder) {
    await builder(join(folder, 'builder'))
    await runtime(join(folder, 'runtime'))
  },
  ask: async () => process.versions.node,
}

/** The two images that the product's Dockerfile names as defaults of its arguments BUILDER and BASE. */
export async function baseImagesOf(dockerfile: string): Promise<readonly BaseImage[]> {
  await install(baseImages)
  const text = await readFile(dockerfile, 'utf8')
  const name = (argument: string) => {
    const [, found] = new RegExp(`^ARG ${argument}=(\\S+)$`, 'm').exec(text) ?? []
    if (found === undefined) throw new Error(`${dockerfile} has no line ARG ${argument}=...`)
    return found
  }
  return [
    { name: name('BUILDER'), folder: join(fileOf(baseImages), 'builder') },
    { name: name('BASE'), folder: join(fileOf(baseImages), 'runtime') },
  ]
}

/** As gcr.io/distroless/nodejs24-debian13:nonroot: Node, its libraries, certificates, a user; no shell. */
async function runtime(folder: string): Promise<void> {
  const root = join(folder, 'root')
  await copyProgram(process.execPath, join(root, 'nodejs/bin/node'), root)
  await writeSystem(root)
  await writeDockerfile(folder, [
    `ENV PATH=${PATH} SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt`,
    'USER 65532',
    'WORKDIR /home/nonroot',
    'ENTRYPOINT ["/nodejs/bin/node"]',
  ])
}

/** As docker.io/library/node: Node and npm where they are there, and as much of a shell as they need. */
async function builder(folder: string): Promise<void> {
  const root = join(folder, 'root')
  await copyProgram(process.execPath, join(root, 'usr/local/bin/node'), root)
  await copyProgram('/bin/sh', join(root, 'bin/sh'), root)
  await copyProgram('/usr/bin/env', join(root, 'usr/bin/env'), root)
  await writeSystem(root)
  const global = [
    'install',
    '--global',
    '--prefix',
    join(root, 'usr/local'),
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
  ]
  await run('npm', [...global, `npm@${NPM}`])
  await writeDockerfile(folder, [`ENV PATH=${PATH} NODE_EXTRA_CA_CERTS=${extraCertificates}`])
}

async function writeDockerfile(folder: string, lines: readonly string[]): Promise<void> {
  await writeFile(join(folder, 'Dockerfile'), ['FROM scratch', 'COPY root /', ...lines, ''].join('\n'))
}

async function writeSystem(root: string): Promise<void> {
  await mkdir(join(root, 'etc/ssl/certs'), { recursive: true })
  await mkdir(join(root, 'home/nonroot'), { recursive: true })
  await mkdir(join(root, 'tmp'))
  await chmod(join(root, 'tmp'), 0o1777)
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/\nnonroot:x:65532:65532:nonroot:/home/nonroot:/\n')
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nnonroot:x:65532:\n')
  await writeFile(join(root, 'etc/ssl/certs/ca-certificates.crt'), `${rootCertificates.join('\n')}\n`)
}

/** With the libraries that it is linked to, at the places where it looks for them. */
async function copyProgram(program: string, to: string, root: string): Promise<void> {
  const { stdout } = await run('ldd', [program])
  const libraries = [...stdout.matchAll(/(?:^\s+|=> )(\/\S+) \(/gm)].map(([, path = '']) => path)
  for (const [from, target] of [[program, to], ...libraries.map((path) => [path, join(root, path)])] as const) {
    await mkdir(dirname(target), { recursive: true })
    await copyFile(from, target)
  }
}
