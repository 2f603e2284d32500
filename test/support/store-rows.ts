import type { RegistryNode } from './registry-node.ts'

/** How many rows the node's database has in each of its tables. */
export async function rowsOf({ database }: Pick<RegistryNode, 'database'>): Promise<Record<string, number>> {
  const rows: Record<string, number> = {}
  for await (const key of database.keys()) {
    const table = /^!([^!]*)!/.exec(key)?.[1] ?? ''
    rows[table] = (rows[table] ?? 0) + 1
  }
  return rows
}
