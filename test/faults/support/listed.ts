import type { TestObject } from '../../testbed/admin-client.ts'
import type { TestApiServer } from '../../testbed/api-server.ts'

const collections = (namespace: string) => [
  `/api/v1/namespaces/${namespace}/pods`,
  `/api/v1/namespaces/${namespace}/configmaps`,
  `/apis/example.com/v1/namespaces/${namespace}/widgets`,
]

/** uid -> resourceVersion of what the server has of the resources that random operations write. */
export async function listed(server: TestApiServer, namespace: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for (const path of collections(namespace)) {
    const { items } = (await server.admin.get(path)) as TestObject & { readonly items: readonly TestObject[] }
    for (const { metadata } of items) found.set(String(metadata.uid), String(metadata.resourceVersion))
  }
  return found
}
