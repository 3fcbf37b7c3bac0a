/**
 * One process per folder. The lock is a socket in it: whether somebody listens is known to the kernel, so that a process
 * that was killed holds nothing, and neither process ids nor network namespaces matter. It does not reach further than
 * one machine.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { access, open, rename, unlink } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { dirname, join } from 'node:path'
import { codeOf } from './disk.ts'

const NAME = 'lock'
/** Of a socket's path: what Linux, macOS and the BSDs all take. */
const MAX_PATH_BYTES = 100
/** Where Linux has what a process has opened, by number: a short path to a folder whose own is longer. */
const OPENED = '/proc/self/fd'

/** Resolves when this process alone has the folder, until it is disposed. Rejects, saying why, if it cannot have it. */
export async function lockFolder(folder: string): Promise<AsyncDisposable> {
  await using resources = new AsyncDisposableStack()
  const path = join(await shortened(folder, resources), NAME)
  resources.use(await lock(path, folder))
  return resources.move()
}

/** A path to the folder that has room for a socket's name, for as long as `resources` are not disposed. */
async function shortened(folder: string, resources: AsyncDisposableStack): Promise<string> {
  if (Buffer.byteLength(join(folder, nameOfTaken())) <= MAX_PATH_BYTES) return folder
  try {
    await access(OPENED)
  } catch (error) {
    const most = MAX_PATH_BYTES - nameOfTaken().length - 1
    throw new Error(`${folder} is too long for a lock: choose a path of at most ${most} bytes`, { cause: error })
  }
  const { fd } = resources.use(await open(folder))
  return `${OPENED}/${fd}`
}

async function lock(path: string, folder: string): Promise<AsyncDisposable> {
  const server = await listen(path, folder)
  if (server) return held(server)
  if (await isAlive(path)) throw inUse(folder)
  // Whoever had it was killed. Another one may have seen the same and be here already: what is taken away is looked at.
  const taken = join(dirname(path), nameOfTaken())
  await rename(path, taken).catch(ignoreMissing)
  if (await isAlive(taken)) {
    await rename(taken, path)
    throw inUse(folder)
  }
  await unlink(taken).catch(ignoreMissing)
  const second = await listen(path, folder)
  if (!second) throw inUse(folder)
  return held(second)
}

const nameOfTaken = () => `${NAME}.${randomBytes(4).toString('hex')}`

/** Undefined: something has the name. */
async function listen(path: string, folder: string): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy())
  server.unref()
  server.listen(path)
  try {
    await once(server, 'listening')
    return server
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE') return undefined
    const why = codeOf(error) ?? String(error)
    throw new Error(`${folder}: the folder cannot be locked (${why}): it must be one that this process may write`, {
      cause: error,
    })
  }
}

async function isAlive(path: string): Promise<boolean> {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false // nobody listens, or it is no socket
  } finally {
    socket.destroy()
  }
}

function held(server: Server): AsyncDisposable {
  return {
    async [Symbol.asyncDispose]() {
      if (!server.listening) return
      server.close() // and the name goes with it
      await once(server, 'close')
    },
  }
}

function inUse(folder: string): Error {
  return new Error(`${folder} is in use by another process: each needs a folder of its own`)
}

function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error
}
