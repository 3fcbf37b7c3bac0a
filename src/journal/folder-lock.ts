/**
 * One process per folder. The lock is a socket in it: whether somebody listens is known to the kernel, so that a process
 * that was killed holds nothing, and neither process ids nor network namespaces matter. It does not reach further than
 * one machine.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { rename, unlink } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { codeOf } from './disk.ts'

const NAME = 'lock'
/** Of a socket's path, on Linux; others take some less. */
const MAX_PATH_BYTES = 100

/** Resolves when this process alone has the folder, until it is disposed. Rejects, saying why, if it cannot have it. */
export async function lockFolder(folder: string): Promise<AsyncDisposable> {
  const path = join(folder, NAME)
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new Error(`${path} is too long for a lock: choose a path of less than ${MAX_PATH_BYTES - NAME.length} bytes`)
  }
  const server = await listen(path)
  if (server) return held(server)
  if (await isAlive(path)) throw inUse(folder)
  // Whoever had it was killed. Another one may have seen the same and be here already: what is taken away is looked at.
  const taken = `${path}.${randomBytes(4).toString('hex')}`
  await rename(path, taken).catch(ignoreMissing)
  if (await isAlive(taken)) {
    await rename(taken, path)
    throw inUse(folder)
  }
  await unlink(taken).catch(ignoreMissing)
  const second = await listen(path)
  if (!second) throw inUse(folder)
  return held(second)
}

/** Undefined: something has the name. */
async function listen(path: string): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy())
  server.unref()
  server.listen(path)
  try {
    await once(server, 'listening')
    return server
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE') return undefined
    const why = codeOf(error) ?? String(error)
    throw new Error(`${path}: the folder cannot be locked (${why}): it must be one that this process may write`, {
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
