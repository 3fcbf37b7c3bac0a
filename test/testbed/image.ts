/**
 * Container images, built from a Dockerfile as it is, without a registry and without a daemon: by buildah, as root. What
 * a Dockerfile builds on does not come from a registry either: it is made on this machine, under the name that it has
 * there (base-images.ts).
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, globSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { promisify } from 'node:util'
import packageJson from '../../package.json' with { type: 'json' }
import { type BaseImage, baseImagesOf, extraCertificates } from './base-images.ts'
import { buildah } from './buildah.ts'
import { type Component, cacheFolder, fileOf, install, use } from './component.ts'

const run = promisify(execFile)

export interface ImageSource {
  /** Folder that the Dockerfile copies from. What its .dockerignore leaves out does not count. */
  readonly context: string
  /** @default Dockerfile in the context */
  readonly dockerfile?: string
  /** With tag: `deltawire/deltawire:0.1.0`. */
  readonly name: string
  /** Build arguments. */
  readonly args?: Readonly<Record<string, string>>
  /** What it builds on. @default nothing: `FROM scratch` */
  readonly bases?: readonly BaseImage[]
}

/** An archive as `docker save` writes it: `ctr -n k8s.io images import` takes it. */
export interface Image {
  readonly archive: string
  /** What the kubelet knows it by: `deltawire/deltawire:0.1.0`. */
  readonly name: string
}

/** Of everything in an image, seconds: the same sources make the same image. */
const timestamp = process.env.SOURCE_DATE_EPOCH ?? '0'
/** Archives that are kept of one image: a test may still read the one before. */
const KEPT = 3
/** No build takes so long. */
const ABANDONED_MS = 60 * 60_000

/** The image of this checkout, with the name that the chart gives it. */
export async function productImage(): Promise<Image> {
  const source = await productSource(resolve(import.meta.dirname, '../..'))
  return { archive: await buildImage(source), name: source.name }
}

/** How the product's image is built from the files in a folder. */
export async function productSource(context: string): Promise<ImageSource> {
  const { name, version } = packageJson
  const bases = await baseImagesOf(join(context, 'Dockerfile'))
  return { context, name: `${name}/${name}:${version}`, args: { VERSION: version }, bases }
}

/**
 * Path of its docker-archive. Built if what it is made from has changed since it was last built; of several processes
 * that want it, one builds and the others wait. Rejects with what the build said.
 */
export async function buildImage(source: ImageSource): Promise<string> {
  const name = `image-${slug(source.name)}`
  const image: Component = {
    name,
    version: (await digestOf(source)).slice(0, 16),
    file: 'image.tar',
    needs: {},
    install: (folder) => writeImage(source, join(folder, 'image.tar')),
    ask: async () => source.name,
  }
  await install(image)
  const file = fileOf(image)
  await utimes(dirname(file), new Date(), new Date())
  await removeOlder(name)
  return file
}

/** Builds it, whatever is there already. */
export async function writeImage(source: ImageSource, archive: string): Promise<void> {
  if (process.geteuid?.() !== 0) throw new Error(`${source.name} cannot be built: it takes root. Run it with sudo.`)
  const file = await use(buildah)
  await using build = await Build.create(file, dirname(archive))
  for (const base of source.bases ?? []) await build.run({ context: base.folder, name: base.name })
  await build.run(source)
  await build.write(source.name, archive)
}

/** A storage of images of its own, which ends with it: nothing is left to be cleaned up. */
class Build implements AsyncDisposable {
  readonly #file: string
  readonly #folder: string

  private constructor(file: string, folder: string) {
    this.#file = file
    this.#folder = folder
  }

  static async create(file: string, parent: string): Promise<Build> {
    const folder = await mkdtemp(join(parent, 'build-'))
    await mkdir(join(folder, 'tmp'))
    return new Build(file, folder)
  }

  async run({ context, dockerfile = join(context, 'Dockerfile'), name, args = {} }: ImageSource): Promise<void> {
    const npmrc = join(this.#folder, 'npmrc')
    await writeFile(npmrc, await npmSettings(), { mode: 0o600 })
    const authorities = process.env.NODE_EXTRA_CA_CERTS ?? '/etc/ssl/certs/ca-certificates.crt'
    await this.#buildah('bud', [
      '--isolation=chroot',
      '--layers=false',
      '--pull-never',
      `--timestamp=${timestamp}`,
      `--secret=id=npmrc,src=${npmrc}`,
      ...(existsSync(authorities) ? [`--volume=${resolve(authorities)}:${extraCertificates}:ro`] : []),
      ...Object.entries(args).map(([key, value]) => `--build-arg=${key}=${value}`),
      `--file=${dockerfile}`,
      `--tag=${qualified(name)}`,
      context,
    ])
  }

  async write(name: string, archive: string): Promise<void> {
    await this.#buildah('push', [qualified(name), `docker-archive:${archive}:${qualified(name)}`])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true })
  }

  async #buildah(command: string, args: readonly string[]): Promise<void> {
    const settings = join(dirname(this.#file), '../../etc/containers')
    const storage = [`--root=${this.#folder}/storage`, `--runroot=${this.#folder}/run`, '--storage-driver=vfs']
    const all = [...storage, command, `--signature-policy=${settings}/policy.json`, ...args]
    const env = {
      ...process.env,
      TMPDIR: `${this.#folder}/tmp`,
      CONTAINERS_REGISTRIES_CONF: `${settings}/registries.conf`,
    }
    try {
      await run(this.#file, all, { env, maxBuffer: 64 * 1024 * 1024 })
    } catch (error) {
      const { stdout = '', stderr = '' } = error as { readonly stdout?: string; readonly stderr?: string }
      const said = `${stdout}\n${stderr}`.trim().split('\n').slice(-40).join('\n')
      throw new Error(`buildah ${command} failed: ${said}`, { cause: error })
    }
  }
}

/** A name without a host is one of Docker Hub, to whoever runs it as well. */
function qualified(name: string): string {
  return /^(?:localhost|[^/]*[.:][^/]*)\//.test(name) ? name : `docker.io/${name}`
}

/** Where this machine's npm finds packages and who it says it is; nothing else of its settings is for a build. */
async function npmSettings(): Promise<string> {
  const file = process.env.npm_config_userconfig ?? join(homedir(), '.npmrc')
  const own = existsSync(file) ? (await readFile(file, 'utf8')).split('\n') : []
  const { stdout } = await run('npm', ['config', 'get', 'registry'])
  return [...own.filter((line) => /^(?:\/\/|@)/.test(line)), `registry=${stdout.trim()}`, ''].join('\n')
}

const slug = (name: string) => name.replace(/:.*$/, '').replaceAll(/[^a-z0-9]+/g, '-')

/** Of all that the image is made from: the same digest, the same image. */
async function digestOf({ context, dockerfile, name, args = {}, bases = [] }: ImageSource): Promise<string> {
  const hash = createHash('sha256')
  hash.update(JSON.stringify([name, args, bases, buildah.version, timestamp]))
  for (const file of [dockerfile ?? join(context, 'Dockerfile'), ...(await contents(context))]) {
    const { mode, size } = await stat(file)
    hash.update(JSON.stringify([relative(context, file), mode & 0o111, size])).update(await readFile(file))
  }
  return hash.digest('hex')
}

/** The files in a context; with a .dockerignore that leaves out everything but, what it lets through. */
async function contents(context: string): Promise<readonly string[]> {
  const ignore = join(context, '.dockerignore')
  const lines = existsSync(ignore) ? (await readFile(ignore, 'utf8')).split('\n') : []
  const through = lines.flatMap((line) => (line.startsWith('!') ? [line.slice(1)] : []))
  const roots = lines.includes('*') ? ['.dockerignore', ...through.flatMap((path) => [path, `${path}/**`])] : ['**']
  const files = globSync(roots, { cwd: context, withFileTypes: true }).filter((entry) => entry.isFile())
  return files.map((entry) => join(entry.parentPath, entry.name)).sort()
}

/** Archives that were not used lately, and what a build that was killed has left. */
async function removeOlder(name: string): Promise<void> {
  const folders: { readonly path: string; readonly whole: boolean; readonly usedMs: number }[] = []
  for (const entry of await readdir(cacheFolder())) {
    const [, making] = new RegExp(`^${name}-[0-9a-f]{16}(\\.making-.*)?$`).exec(entry) ?? ['', 'no']
    if (making === 'no') continue
    const path = join(cacheFolder(), entry)
    const found = await stat(path).catch(() => undefined) // it was renamed or removed just now
    if (found) folders.push({ path, whole: making === undefined, usedMs: found.mtimeMs })
  }
  const whole = folders.filter((folder) => folder.whole).sort((a, b) => b.usedMs - a.usedMs)
  const abandoned = folders.filter((folder) => !folder.whole && folder.usedMs < Date.now() - ABANDONED_MS)
  for (const { path } of [...whole.slice(KEPT), ...abandoned]) await rm(path, { recursive: true, force: true })
}
