import type { Command } from 'commander'
import { z } from 'zod'
import { imageSchema, imageSweepSchema, loginSchema } from '../api/image-views.ts'
import { askSecret } from './ask-secret.ts'
import { imageBuildCommands } from './image-build.ts'
import { bytesText, countText, timeText } from './output.ts'
import type { Act } from './session.ts'

export function imageCommands(program: Command, act: Act): void {
  const image = program
    .command('image')
    .description('the container images of this node: registries, builds, and what they take on the disk')

  image
    .command('list')
    .description('list the images that this node pulled or built; those of others are left alone')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const images = await client.get('/images', z.array(imageSchema))
        session.out.result(images, () => {
          if (images.length === 0)
            return 'This node has pulled and built no images; those of others are left alone.'
          const rows = images.map(({ id, tags, references, how, bytes, usedMs, needed, goes, engine }) => [
            id.slice(0, 19),
            tags[0] ?? references[0] ?? '-',
            how,
            engine,
            bytesText(bytes),
            timeText(usedMs),
            needed ?? (goes === undefined ? 'not needed, stays within the bounds' : `goes: ${goes}`),
          ])
          return session.out.table(['id', 'name', 'by', 'engine', 'size', 'last used', 'why it stays'], rows)
        })
      }),
    )

  image
    .command('gc')
    .description('remove images that this node brought and that nothing needs, as the settings say')
    .option('--dry-run', 'only tell which they would be')
    .action(
      act(async (session, { dryRun = false }: { dryRun?: boolean }) => {
        const client = await session.connect()
        const swept = await client.work('/images/gc', imageSweepSchema, { dryRun })
        for (const { engine, problem } of swept.unreachable) {
          session.out.note(`The engine ${engine} was not looked at: ${problem}`)
        }
        session.out.result(swept, () => {
          const { removed, bytes } = swept
          const names = removed.map(
            ({ id, references, goes }) => `  ${references[0] ?? id.slice(0, 19)}: ${goes}`,
          )
          const what = `${countText(removed.length, 'image')} of ${bytesText(bytes)}`
          const first = dryRun ? `${what} would go.` : `${what} went.`
          return [first, ...names].join('\n')
        })
      }),
    )

  image
    .command('login <registry>')
    .description(
      'keep a password (or token) of a registry on this node, sealed; it is asked for, or read from standard input',
    )
    .requiredOption('--user <name>', 'who logs in there')
    .action(
      act(async (session, registry: string, { user }: { user: string }) => {
        const client = await session.connect()
        const password = await askSecret(session, `The password of ${user} at ${registry}`)
        const login = await client.put(pathOf(registry), loginSchema, { user, password })
        session.out.result(login, () => `This node pulls from ${login.registry} as ${login.user}.`)
      }),
    )

  image
    .command('logins')
    .description('list the registries that this node has a password for')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const logins = await client.get('/images/logins', z.array(loginSchema))
        session.out.result(logins, () => {
          if (logins.length === 0)
            return 'This node has no password of a registry; "maoctl image login" keeps one.'
          const rows = logins.map(({ registry, user, sinceMs }) => [registry, user, timeText(sinceMs)])
          return session.out.table(['registry', 'user', 'since'], rows)
        })
      }),
    )

  image
    .command('logout <registry>')
    .description('forget the password of a registry')
    .action(
      act(async (session, registry: string) => {
        const client = await session.connect()
        await client.delete(pathOf(registry))
        session.out.result({ registry }, () => `This node has no password of ${registry} any more.`)
      }),
    )

  imageBuildCommands(image, act)
}

function pathOf(registry: string): string {
  return `/images/logins/${encodeURIComponent(registry)}`
}
