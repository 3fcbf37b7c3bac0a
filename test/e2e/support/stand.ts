import { type ApiServerOptions, startApiServer, type TestApiServer } from '../../testbed/api-server.ts'

/** A real API server with these namespaces, and the custom resource that random operations write. */
export async function startCluster(
  namespaces: readonly string[],
  options: ApiServerOptions = {},
): Promise<TestApiServer> {
  const server = await startApiServer(options)
  for (const namespace of namespaces) await server.admin.createNamespace(namespace)
  await server.admin.createWidgets()
  return server
}

/** Configuration of a webhook sink whose endpoint is on loopback. */
export function webhook(name: string, url: string, more: object = {}): object {
  return { name, type: 'webhook', url, insecureHttp: true, network: { allow: ['127.0.0.0/8'] }, ...more }
}
