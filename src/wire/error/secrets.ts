/** Masks texts that look like secrets in the messages of providers. */

interface Mask {
  readonly find: RegExp
  readonly replace: string
}

/** Most patterns require a digit, which keys have and words do not: "risk-averse" and "Bearer authentication" remain. */
const masks: ReadonlyArray<Mask> = [
  // OpenAI, Anthropic (sk-ant-), OpenRouter (sk-or-), DeepSeek, Moonshot, DashScope, also with stars in the middle
  { find: /\bsk-(?=[\w*-]{0,200}[\d*])[\w*-]{8,}/g, replace: "***" },
  // Groq, xAI, Hugging Face, Perplexity, Replicate, NVIDIA, Cerebras, Together, Fireworks, GitHub, GitLab
  {
    find: /\b(?:gsk_|xai-|hf_|pplx-|r8_|nvapi-|csk-|tgp_|fw_|gh[opsu]_|github_pat_|glpat-)(?=[\w*-]{0,200}[\d*])[\w*-]{8,}/g,
    replace: "***"
  },
  // Google's keys and OAuth tokens, Amazon's key ids
  { find: /\bAIza[\w*-]{10,}|\bya29\.[\w*-]{10,}|\bA[KS]IA[A-Z0-9]{12,}/g, replace: "***" },
  // JSON web tokens
  { find: /\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?/g, replace: "***" },
  // Zhipu: an id and a secret with a dot between
  { find: /\b[a-f0-9]{32}\.[A-Za-z0-9]{12,}/g, replace: "***" },
  { find: /\b(Bearer|Basic)\s{1,3}(?=[\w.~+/*-]{0,200}[\d*])[\w.~+/*-]{8,}={0,2}/gi, replace: "$1 ***" },
  // Query values and assignments
  {
    find: /(^|[?&;\s"'(])((?:x-)?(?:goog-)?(?:api[-_]?key|key|access[-_]token|auth[-_]token|token|secret|password|signature|sig)=)[^&\s"'<>)]+/gi,
    replace: "$1$2***"
  },
  // Quoted headers and JSON
  {
    find: /(api[-_ ]?key["']?\s{0,3}:\s{0,3}["']?)(?=[^\s"',}]{0,200}[\d*])[^\s"',}]{8,}/gi,
    replace: "$1***"
  }
]

/** The text with keys, tokens, and query values of such names masked. */
export const withoutSecrets = (text: string): string =>
  masks.reduce((masked, { find, replace }) => masked.replace(find, replace), text)
