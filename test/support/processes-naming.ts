import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Command lines of running processes in which `text` occurs. */
export async function processesNaming(text: string): Promise<string[]> {
  const found: string[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    // A process may end while it is looked at.
    const command = await readFile(join('/proc', name, 'cmdline'), 'utf8').catch(() => '')
    if (command.includes(text)) found.push(command.replaceAll('\0', ' '))
  }
  return found
}
