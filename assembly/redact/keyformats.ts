// The shapes of credentials that can be told by a prefix. A row gives the prefix, the alphabet of what follows
// and how much of it there is; a length of 0 … means "at least, and on to the end of the run".
//
// Shapes are those the issuers document or that secret scanners have in common (gitleaks' rules, GitHub's
// secret-scanning list). Each is found at the first byte of its prefix that is a trigger; rows are chained by
// that byte and the one before it, so a trigger in ordinary text costs one bit test.
//
//   heads: 256 × pointer to the first row, by (byte before × 31 + byte) & 255
import { reserve } from "../memory";
import { putAscii } from "../slice";
import { BASE64, DASHES, DIGIT, HEX, LOWER, UPPER } from "./chars";
import { addTrigger } from "./filter";

const AN: u8 = DIGIT | UPPER | LOWER;
const URL: u8 = AN | DASHES;
const B64: u8 = AN | BASE64;
const CAPS: u8 = UPPER | DIGIT;

/** The match is what follows the prefix and `: = " '`, not the prefix. */
export const VALUE_ONLY: u8 = 1;
/** `.` belongs to the alphabet too. */
export const DOTS: u8 = 2;
/** A letter or digit may stand before the prefix. */
export const INSIDE: u8 = 4;

@unmanaged
export class Row {
  prefix: usize;
  prefixLength: i32;
  /** Where in the prefix its trigger is. */
  offset: i32;
  alphabet: u8;
  flags: u8;
  /** How much follows the prefix; `most` 0: any more. */
  least: i32;
  most: i32;
  /** The next with the same head, or null. */
  next: Row | null;
}

const heads: usize = reserve(256 * sizeof<usize>());

function head(before: u32, byte: u32): usize {
  return heads + <usize>((before * 31 + byte) & 255) * sizeof<usize>();
}

/** The first row whose trigger may be `byte` after `before`, or null. */
export function firstRow(before: u32, byte: u32): Row | null {
  return changetype<Row | null>(load<usize>(head(before, byte)));
}

function isKeyTrigger(c: i32): bool {
  switch (c) {
    case 45: // -
    case 95: // _
    case 46: // .
    case 73: // I
    case 74: // J
    case 75: // K
    case 67: // C
    case 84: // T
      return true;
    default:
      return false;
  }
}

function add(prefix: string, alphabet: u8, least: i32, most: i32, flags: u8 = 0): void {
  let offset = 1;
  while (!isKeyTrigger(prefix.charCodeAt(offset))) offset++;
  const row = changetype<Row>(reserve(offsetof<Row>()));
  row.prefix = reserve(prefix.length);
  putAscii(row.prefix, prefix);
  row.prefixLength = prefix.length;
  row.offset = offset;
  row.alphabet = alphabet;
  row.flags = flags;
  row.least = least;
  row.most = most;
  row.next = firstRow(prefix.charCodeAt(offset - 1), prefix.charCodeAt(offset));
  store<usize>(head(prefix.charCodeAt(offset - 1), prefix.charCodeAt(offset)), changetype<usize>(row));
}

function fill(): void {
  addTriggersOfKeys();
  // Model providers
  add("sk-ant-", URL, 60, 0);
  add("sk-proj-", URL, 40, 0);
  add("sk-svcacct-", URL, 40, 0);
  add("sk-admin-", URL, 40, 0);
  add("sk-or-v1-", HEX, 64, 64);
  add("sk-lf-", HEX | DASHES, 36, 36);
  add("sk-", AN, 32, 64);
  add("hf_", AN, 34, 40);
  add("api_org_", AN, 34, 34);
  add("gsk_", AN, 52, 52);
  add("pplx-", AN, 48, 56);
  add("xai-", AN, 80, 80);
  add("r8_", AN, 37, 40);
  add("tgp_v1_", URL, 40, 0);
  add("lsv2_pt_", HEX | DASHES, 43, 43);
  add("lsv2_sk_", HEX | DASHES, 43, 43);
  add("nvapi-", URL, 60, 0);
  add("fw_", AN, 22, 24);
  add("sk_", HEX, 48, 48);
  add("tvly-", URL, 32, 64);
  add("fc-", HEX, 32, 32);
  add("pcsk_", AN | DASHES, 60, 80);
  add("wandb_v1_", URL, 60, 0);
  // Clouds
  add("AKIA", CAPS, 16, 16);
  add("ASIA", CAPS, 16, 16);
  add("ABIA", CAPS, 16, 16);
  add("ACCA", CAPS, 16, 16);
  add("LTAI", AN, 17, 24);
  add("ABSK", B64, 100, 0);
  add("AIza", URL, 35, 35);
  add("GOCSPX-", URL, 28, 28);
  add("ya29.", URL, 40, 0, DOTS);
  add("AccountKey=", B64, 86, 88, VALUE_ONLY);
  add("SharedAccessKey=", B64, 43, 43, VALUE_ONLY);
  add("secret_access_key", B64, 40, 40, VALUE_ONLY | INSIDE);
  add("SECRET_ACCESS_KEY", B64, 40, 40, VALUE_ONLY | INSIDE);
  add("ecretAccessKey", B64, 40, 40, VALUE_ONLY | INSIDE);
  add("aws_secret_key", B64, 40, 40, VALUE_ONLY);
  add("AWS_SECRET_KEY", B64, 40, 40, VALUE_ONLY);
  add("v1.0-", HEX | DASHES, 171, 171);
  add("dop_v1_", HEX, 64, 64);
  add("doo_v1_", HEX, 64, 64);
  add("dor_v1_", HEX, 64, 64);
  add("tskey-", URL, 20, 0);
  add("HRKU-", URL, 36, 64);
  add("fo1_", URL, 43, 43);
  add("fm2_", B64, 100, 0);
  add("pscale_tkn_", URL, 32, 64);
  add("pscale_pw_", URL, 32, 64);
  add("pscale_oauth_", URL, 32, 64);
  add("hvs.", URL, 24, 0);
  add("hvb.", URL, 100, 0);
  add("dp.pt.", AN, 40, 44);
  add("dp.st.", URL, 40, 64, DOTS);
  add("pul-", HEX, 40, 40);
  add("dt0c01.", CAPS, 89, 89, DOTS);
  add("sbp_", HEX, 40, 44);
  add("sb_secret_", URL, 28, 40);
  add("ATATT3", URL, 60, 0);
  add("ATBB", AN, 32, 32);
  add("ATCTT3", URL, 60, 0);
  add("nfp_", AN, 36, 40);
  add("vcp_", AN, 50, 64);
  // Code hosts, registries, continuous integration
  add("ghp_", AN, 36, 36);
  add("gho_", AN, 36, 36);
  add("ghu_", AN, 36, 36);
  add("ghs_", AN, 36, 36);
  add("ghr_", AN, 36, 76);
  add("github_pat_", AN | DASHES, 82, 82);
  add("glpat-", URL, 20, 64);
  add("gldt-", URL, 20, 64);
  add("glrt-", URL, 20, 64);
  add("glptt-", HEX, 40, 40);
  add("glcbt-", URL, 20, 64);
  add("glft-", URL, 20, 64);
  add("glsoat-", URL, 20, 64);
  add("glagent-", URL, 50, 64);
  add("npm_", AN, 36, 36);
  add("pypi-AgEIcHlwaS5vcmc", URL, 50, 0);
  add("pypi-AgENdGVzdC5weXBpLm9yZ", URL, 50, 0);
  add("rubygems_", HEX, 48, 48);
  add("dckr_pat_", URL, 27, 36);
  add("dckr_oat_", URL, 27, 36);
  add("CLOJARS_", AN, 60, 60);
  add("squ_", HEX, 40, 40);
  add("sqp_", HEX, 40, 40);
  add("sqa_", HEX, 40, 40);
  add("AKCp", AN, 60, 80);
  add("sgp_", HEX | DASHES, 40, 57);
  add("bkua_", HEX, 40, 40);
  // Messaging and mail
  add("xoxb-", URL, 24, 120);
  add("xoxp-", URL, 24, 120);
  add("xoxa-", URL, 24, 120);
  add("xoxr-", URL, 24, 120);
  add("xoxs-", URL, 24, 120);
  add("xoxe-", URL, 24, 0);
  add("xoxe.", URL, 40, 0, DOTS);
  add("xapp-", URL, 40, 140);
  add("SG.", URL, 66, 69, DOTS);
  add("SK", HEX, 32, 32);
  add("key-", HEX, 32, 32);
  add("xkeysib-", HEX | DASHES | AN, 81, 81);
  add("xsmtpsib-", HEX | DASHES | AN, 81, 81);
  add("re_", URL, 32, 36);
  // Payments and commerce
  add("sk_live_", AN, 16, 120);
  add("sk_test_", AN, 16, 120);
  add("rk_live_", AN, 16, 120);
  add("rk_test_", AN, 16, 120);
  add("whsec_", B64, 32, 64);
  add("shpat_", HEX, 32, 32);
  add("shpca_", HEX, 32, 32);
  add("shppa_", HEX, 32, 32);
  add("shpss_", HEX, 32, 32);
  add("sq0atp-", URL, 22, 22);
  add("sq0csp-", URL, 43, 43);
  add("shippo_live_", HEX, 40, 40);
  add("shippo_test_", HEX, 40, 40);
  add("EZAK", AN, 54, 54);
  add("EZTK", AN, 54, 54);
  // Tools
  add("lin_api_", AN, 40, 40);
  add("ntn_", AN, 46, 46);
  add("secret_", AN, 43, 43);
  add("PMAK-", HEX | DASHES, 59, 59);
  add("NRAK-", CAPS, 27, 27);
  add("glsa_", AN | DASHES, 41, 41);
  add("glc_", B64, 32, 0);
  add("sntrys_", URL | BASE64, 60, 0);
  add("sntryu_", HEX, 64, 64);
  add("figd_", URL, 40, 44);
  add("rdme_", AN, 70, 70);
  add("pnu_", AN, 36, 36);
  add("tfp_", URL, 40, 64);
  add("CFPAT-", URL, 43, 43);
  add("aio_", AN, 28, 28);
  add("duffel_live_", URL, 43, 43);
  add("duffel_test_", URL, 43, 43);
  add("ico-", AN, 32, 32);
  add("phx_", AN, 40, 56);
  add("ops_eyJ", B64, 200, 0);
  add("sk.eyJ", URL, 60, 0, DOTS);
  add("AGE-SECRET-KEY-1", CAPS, 58, 58);
}

function addTriggersOfKeys(): void {
  for (let c: u32 = 0; c < 128; c++) if (isKeyTrigger(<i32>c)) addTrigger(c);
}

fill();
