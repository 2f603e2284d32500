/** The text of a systemd unit for a node (systemd.service(5), systemd.exec(5)). Pure. */

export interface UnitParts {
  readonly name: string
  readonly data: string
  /** The program and its first arguments, absolute: node, then maoctl. */
  readonly program: readonly string[]
  /** Of a system service; undefined for a user's own, which runs as that user. */
  readonly system:
    | { readonly user: string; readonly isRoot: boolean; readonly groups: readonly string[] }
    | undefined
}

/** One word of a command line in a unit: `%` and `$` mean something there, and spaces part words. */
export function unitWord(word: string): string {
  const plain = word.replaceAll('%', '%%').replaceAll('$', '$$$$')
  if (/^[\w@%+=:,./$-]+$/.test(plain)) return plain
  return `"${plain.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

/** A path where no command line is: only `%` means something, and a leading or inner space is escaped. */
function unitPath(path: string): string {
  return /\s|"|\\/.test(path)
    ? `"${path.replaceAll('%', '%%').replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
    : path.replaceAll('%', '%%')
}

/**
 * Hardened as far as a node still does its work: it talks to the Docker engine over a socket, binds directories of its
 * data into containers, calls git and ssh, and listens on ports above 1023. V8 makes code as it runs, so memory that is
 * written and executed stays allowed.
 */
export function unitText(parts: UnitParts): string {
  const { name, data, program, system } = parts
  const command = [...program, '--data', data, 'instance', 'start'].map(unitWord).join(' ')
  const sections = [
    [
      '[Unit]',
      `Description=MAO node ${name}`,
      // A user's own manager knows no units of the machine.
      ...(system === undefined
        ? []
        : ['After=network-online.target docker.service', 'Wants=network-online.target']),
    ],
    [
      '[Service]',
      ...(system === undefined ? [] : [`User=${system.user}`]),
      ...(system === undefined || system.groups.length === 0
        ? []
        : [`SupplementaryGroups=${system.groups.join(' ')}`]),
      `ExecStart=${command}`,
      'Restart=on-failure',
      'RestartSec=5',
      '# A clean stop puts runs away and closes the store.',
      'TimeoutStopSec=45',
      'KillMode=mixed',
      'UMask=0077',
      'LimitNOFILE=65536',
      ...hardening(parts),
    ],
    ['[Install]', `WantedBy=${system === undefined ? 'default.target' : 'multi-user.target'}`],
  ]
  return `${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`
}

function hardening({ data, system }: UnitParts): string[] {
  const everywhere = [
    'NoNewPrivileges=yes',
    'LockPersonality=yes',
    'RestrictRealtime=yes',
    'RestrictSUIDSGID=yes',
    'RestrictNamespaces=yes',
    'SystemCallArchitectures=native',
    'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK',
  ]
  // Without root, hidden directories need user namespaces, in which the group of the Docker socket is lost.
  if (system === undefined) return everywhere
  const isInTmp = /^\/(?:var\/)?tmp(?:\/|$)/.test(data)
  return [
    ...everywhere,
    'ProtectSystem=full',
    'ProtectHome=read-only',
    `ReadWritePaths=${unitPath(data)}`,
    ...(isInTmp ? [] : ['PrivateTmp=yes']),
    'PrivateDevices=yes',
    'ProtectClock=yes',
    'ProtectControlGroups=yes',
    'ProtectHostname=yes',
    'ProtectKernelLogs=yes',
    'ProtectKernelModules=yes',
    'ProtectKernelTunables=yes',
    // Root keeps its powers for the firewall rules of bridged steps; nobody else needs any.
    ...(system.isRoot ? [] : ['CapabilityBoundingSet=']),
  ]
}

/** `mao.service` for the usual data directory; another one has its path in the name, so that two nodes have two units. */
export function unitNameOf(data: string, usual: string): string {
  if (data === usual) return 'mao.service'
  const slug = data.replace(/[^A-Za-z0-9_.-]+/g, '-').replace(/^-+|-+$/g, '')
  return `mao-${slug.slice(0, 200)}.service`
}
