/**
 * The text that each event of a stream adds. Servers that ignore `incremental_output` repeat the whole text so far in every event.
 * No field distinguishes the two modes: in the cumulative one each text begins with the text before it.
 */

/** Fields of an event that help to detect the mode. */
export interface Evidence {
  /** Whether the output tokens advanced since the event before; undefined without counts. */
  readonly advanced: boolean | undefined
  /** Whether the model has stopped. */
  readonly last: boolean
  /** Whether no other channel has text in the same event: incremental servers send one channel at a time. */
  readonly alone: boolean
}

interface Channel {
  /** The text emitted so far. */
  emitted: string
  /** A text that either continues or repeats the emitted one; the next event decides. */
  pending: string | undefined
}

/** A text that begins with this many emitted characters repeats them; a coincidence is unlikely. */
const certainLength = 8

export const pieceReader = () => {
  let mode: "unknown" | "incremental" | "cumulative" = "unknown"
  const channels = new Map<string, Channel>()

  const beyond = (whole: string, said: string): string =>
    whole.startsWith(said) ? whole.slice(said.length) : said.startsWith(whole) ? "" : whole

  /** The added text of the pending one. An unknown mode counts as cumulative. */
  const release = (channel: Channel): string => {
    const held = channel.held ?? ""
    channel.held = undefined
    if (held === "") return ""
    const added = mode === "incremental" ? held : beyond(held, channel.said)
    channel.said += added
    return added
  }

  /**
   * Sets the mode, or returns the added text when the mode stays unknown. A cumulative server sends no empty text after a text, and
   * counts no more tokens when it adds none.
   */
  const decide = (channel: Channel, piece: string, { advanced, alone, last }: Evidence): string | undefined => {
    const { held, said } = channel
    const goesOn = advanced ?? !last
    if (held !== undefined) {
      const repeats = piece !== "" && piece.startsWith(held) && !(piece === said && goesOn)
      mode = repeats ? "cumulative" : "incremental"
    } else if (piece === "" || (piece === said && alone && (last || !goesOn))) {
      return ""
    } else if (!piece.startsWith(said)) {
      mode = "incremental"
    } else if (!alone || (said.length >= certain && piece !== said)) {
      mode = "cumulative"
    } else {
      channel.held = piece
      return ""
    }
    return undefined
  }

  return {
    /** The text that an event adds to a channel. */
    read: (name: string, piece: string, evidence: Evidence): string => {
      const channel = channels.get(name) ?? { said: "", held: undefined }
      channels.set(name, channel)
      if (mode === "unknown" && channel.said !== "") {
        const decided = decide(channel, piece, evidence)
        if (decided !== undefined) return decided
      }
      const before = mode === "unknown" ? "" : release(channel)
      const added = mode === "cumulative" ? beyond(piece, channel.said) : piece
      channel.said += added
      return before + added
    },
    /** The text still pending at the end, by channel. */
    rest: (): ReadonlyArray<readonly [name: string, text: string]> =>
      [...channels].flatMap(([name, channel]) => {
        const text = release(channel)
        return text === "" ? [] : [[name, text] as const]
      })
  }
}
