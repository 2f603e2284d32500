import { resolve } from 'node:path'
import type { Command } from 'commander'
import { NodeError } from '../base/errors.ts'
import { isName } from '../base/names.ts'
import { askSecret } from './ask-secret.ts'
import { profilesFileOf } from './destination.ts'
import { checkedProfile, needProfile, type Profile, readProfiles, writeProfiles } from './profiles.ts'
import type { Act, Session } from './session.ts'

interface AddOptions {
  caFile?: string
  insecure?: true
  use?: boolean
  replace?: boolean
}

export function profileCommands(program: Command, act: Act): void {
  const profile = program
    .command('profile')
    .description('remote nodes by name, for --profile and MAO_PROFILE')

  profile
    .command('add <name> <url>')
    .description(
      'keep address and token of a node, such as https://node.example.org:8080, under a name; the token is asked for, or read from input',
    )
    .option('--ca-file <file>', 'certificates (PEM) that the node is checked with')
    .option('--insecure', 'accept an address that is not encrypted, and so that the token can be overheard')
    .option('--use', 'talk to this node from now on where nothing else is said')
    .option('--replace', 'take the place of a profile of that name')
    .action(act(add))

  profile
    .command('list')
    .description('list the profiles')
    .action(
      act(async (session) => {
        const file = await readProfiles(pathOf(session))
        const rows = Object.entries(file.profiles).map(([name, each]) => shown(name, each, file.default))
        session.out.result(rows, () =>
          rows.length === 0
            ? 'There are no profiles; "maoctl profile add NAME https://…" makes one.'
            : session.out.table(
                ['name', 'address', 'default', 'encrypted'],
                rows.map(({ name, url, isDefault, encrypted }) => {
                  return [name, url, isDefault ? 'yes' : '', encrypted ? 'yes' : 'no']
                }),
              ),
        )
      }),
    )

  profile
    .command('show <name>')
    .description('show a profile, without its token')
    .action(
      act(async (session, name: string) => {
        const file = await readProfiles(pathOf(session))
        const told = shown(name, needProfile(file, name), file.default)
        session.out.result(told, () =>
          session.out.pairs([
            ['name', told.name],
            ['address', told.url],
            ['certificates', told.caFile ?? "the system's"],
            ['default', told.isDefault ? 'yes' : 'no'],
            ['stands in', pathOf(session)],
          ]),
        )
      }),
    )

  profile
    .command('use [name]')
    .description('talk to this node where nothing else is said; without a name, to the one on this machine')
    .action(
      act(async (session, name: string | undefined) => {
        const path = pathOf(session)
        const { default: _, ...file } = await readProfiles(path)
        if (name !== undefined) needProfile({ profiles: file.profiles }, name)
        await writeProfiles(path, { ...file, ...(name === undefined ? {} : { default: name }) })
        session.out.result({ default: name ?? null }, () =>
          name === undefined
            ? 'Commands are about the node on this machine again.'
            : `Commands are about ${name} from now on.`,
        )
      }),
    )

  profile
    .command('remove <name>')
    .description('forget a profile and its token')
    .action(
      act(async (session, name: string) => {
        const path = pathOf(session)
        const { default: standard, profiles } = await readProfiles(path)
        needProfile({ profiles }, name)
        await session.confirm(`Forget the profile ${name} and its token?`)
        const left = Object.fromEntries(Object.entries(profiles).filter(([each]) => each !== name))
        const kept = standard === undefined || standard === name ? {} : { default: standard }
        await writeProfiles(path, { ...kept, profiles: left })
        session.out.result({ name, removed: true }, () => `The profile ${name} is forgotten.`)
      }),
    )
}

async function add(session: Session, name: string, url: string, options: AddOptions): Promise<void> {
  const { caFile, insecure, use, replace } = options
  if (!isName(name)) {
    throw new NodeError('INVALID_NAME', `"${name}" is no name`)
  }
  const path = pathOf(session)
  const file = await readProfiles(path)
  if (Object.hasOwn(file.profiles, name) && replace !== true) {
    throw new NodeError(
      'ALREADY_EXISTS',
      `There is a profile ${name} already; say --replace, or choose another name`,
    )
  }
  const wanted = {
    url,
    ...(caFile === undefined ? {} : { caFile: resolve(caFile) }),
    ...(insecure === true ? { insecure } : {}),
  }
  // Whether the address will do is said before the token is asked for.
  checkedProfile({ ...wanted, token: 'to be asked for' })
  const token = (await askSecret(session, `Token of ${url}`)).trim()
  const profile = checkedProfile({ ...wanted, token })
  const standard = use === true ? name : file.default
  await writeProfiles(path, {
    ...(standard === undefined ? {} : { default: standard }),
    profiles: { ...file.profiles, [name]: profile },
  })
  session.out.result(shown(name, profile, standard), () => `The node at ${profile.url} is called ${name}.`)
  session.out.note(`Next: "maoctl --profile ${name} status" shows whether it answers.`)
}

function shown(name: string, { url, caFile }: Profile, standard: string | undefined) {
  const isDefault = name === standard
  return {
    name,
    url,
    isDefault,
    encrypted: url.startsWith('https:'),
    ...(caFile === undefined ? {} : { caFile }),
  }
}

function pathOf(session: Session): string {
  return profilesFileOf(session.terminal.environment)
}
