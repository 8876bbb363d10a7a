// The words just before a number say what it is: "call", "SSN:", "version", "order". They decide only between
// readings of a shape that is ambiguous by itself.
//
// A fixed table of 1,024 slots: FNV-1a 32 of the word in lower case, then its meaning. Letters beyond ASCII
// are compared as they are, so such words are listed in the cases that occur.
//
//   slot: hash u32 | meaning u8 | 3 spare
import { reserve } from "../memory";
import { ALPHA, has } from "./chars";
import { floorOf } from "./view";

export const W_PHONE: u32 = 0;
export const W_CARD: u32 = 1;
export const W_SSN: u32 = 2;
export const W_VERSION: u32 = 3;
export const W_ORDER: u32 = 4;
export const W_IP: u32 = 5;

const SLOTS: u32 = 1024;
const WORDS_BACK: u32 = 5;
const table: usize = build();

function put(at: usize, hash: u32, meaning: u32): void {
  let i = hash & (SLOTS - 1);
  while (load<u32>(at + <usize>(i << 3)) != 0) i = (i + 1) & (SLOTS - 1);
  store<u32>(at + <usize>(i << 3), hash);
  store<u8>(at + <usize>(i << 3) + 4, <u8>meaning);
}

/** `words` separated by spaces, ASCII in lower case. Text beyond ASCII is encoded by hand as UTF-8. */
function add(at: usize, meaning: u32, words: string): void {
  let hash: u32 = 0x811c9dc5;
  for (let i = 0; i <= words.length; i++) {
    const c: u32 = i < words.length ? words.charCodeAt(i) : 32;
    if (c == 32) {
      put(at, hash, meaning);
      hash = 0x811c9dc5;
    } else if (c < 0x80) hash = mix(hash, c);
    else if (c < 0x800) hash = mix(mix(hash, 0xc0 | (c >> 6)), 0x80 | (c & 63));
    else hash = mix(mix(mix(hash, 0xe0 | (c >> 12)), 0x80 | ((c >> 6) & 63)), 0x80 | (c & 63));
  }
}

function mix(hash: u32, byte: u32): u32 {
  return (hash ^ byte) * 0x01000193;
}

function build(): usize {
  const at = reserve(<usize>(SLOTS << 3));
  add(
    at,
    W_PHONE,
    "phone phones telephone tel tele cell cellphone mobile mob fax call calls called calling dial dialed dialled ring sms text texted whatsapp landline hotline helpline pager reach phonenumber phone_number mobilenumber phoneno contactnumber desk voicemail texting",
  );
  add(
    at,
    W_PHONE,
    "telefon telefonnummer rufnummer handy handynummer mobil mobilnummer festnetz durchwahl anrufen ruf rufen telefonisch anruf téléphone tél telephone portable appeler appelez appelle numéro teléfono telefono móvil movil celular llamar llámame llama telefone telemóvel ligue ligar telefoon telefoonnummer bel bellen mobiel mobiele cellulare chiama chiamare chiamami puhelin telefonu komórka zadzwoń telefonul телефон тел звоните τηλέφωνο 电话 手机 電話 携帯 전화 phn telefonszám tlf puh",
  );
  add(
    at,
    W_CARD,
    "card cards cc visa mastercard amex maestro discover diners jcb credit debit creditcard cardnumber pan tarjeta carte karte kreditkarte kreditkartennummer cartão cartao carta kreditkort karta кредитная карта карты tarjetas bankkarte kreditkaart cardno payment",
  );
  add(at, W_SSN, "ssn ssns social security socialsecurity ss socialsecuritynumber itin taxpayer");
  add(
    at,
    W_VERSION,
    "version versions ver v chapter section sections sec release released rev revision build firmware clause article paragraph kapitel abschnitt capítulo capitulo sección chapitre oid upgrade upgraded update driver theorem figure table appendix step versión versione версия isbn issn lemma patch changelog",
  );
  add(
    at,
    W_ORDER,
    "order orders tracking invoice imei serial ean gtin isbn barcode sku ticket reference ref case parcel shipment bestellung bestellnummer rechnung rechnungsnummer commande facture pedido factura timestamp epoch population id ids uuid hash population account konto transaction txn batch part model item job run build issue tokens parameters bytes seed",
  );
  add(
    at,
    W_IP,
    "ip ips ipv address addresses host hosts server servers addr ping traceroute ssh dns gateway subnet router netmask client peer proxy firewall endpoint localhost src dst from_ip nameserver whois forwarded remote adresse dirección indirizzo",
  );
  return at;
}

function meaningOf(hash: u32): i32 {
  let i = hash & (SLOTS - 1);
  let slot = table + <usize>(i << 3);
  while (load<u32>(slot) != 0) {
    if (load<u32>(slot) == hash) return load<u8>(slot + 4);
    i = (i + 1) & (SLOTS - 1);
    slot = table + <usize>(i << 3);
  }
  return -1;
}

function isWord(byte: u32): bool {
  return byte >= 0x80 || has(byte, ALPHA);
}

/**
 * Which meanings stand before `p`: four bits for each W_*, the distance in words of the nearest (1 = adjacent),
 * or 0. Reads at most LOOK_BACK bytes and five words.
 */
export function context(p: usize): u32 {
  const floor = floorOf(p);
  let near: u32 = 0;
  let to = p;
  for (let n: u32 = 1; n <= WORDS_BACK; n++) {
    while (to > floor && !isWord(load<u8>(to - 1))) to--;
    let from = to;
    while (from > floor && isWord(load<u8>(from - 1))) from--;
    if (from == to) break;
    let hash: u32 = 0x811c9dc5;
    for (let i = from; i < to; i++) {
      const b = <u32>load<u8>(i);
      hash = mix(hash, b - 65 < 26 ? b | 32 : b);
    }
    const meaning = meaningOf(hash);
    if (meaning >= 0) {
      const shift = (<u32>meaning) << 2;
      if (((near >> shift) & 15) == 0) near |= n << shift;
    }
    to = from;
  }
  return near;
}

/** The distance of meaning `w` in a context, 0 when absent. */
export function distance(near: u32, w: u32): u32 {
  return (near >> (w << 2)) & 15;
}

/** Whether `w` is there within `within` words and no `against` is nearer. */
export function says(near: u32, w: u32, within: u32, against: u32): bool {
  const d = distance(near, w);
  if (d == 0 || d > within) return false;
  const e = distance(near, against);
  return e == 0 || d <= e;
}
