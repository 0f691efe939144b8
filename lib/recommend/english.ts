/** Words that English has and that are frequent in what people say. Words of other languages among them are in {@link SHARED}. */
const ENGLISH = words(`
  a about after all am an and another any anything are arent around as at aint back bad be because been before best better big but by can
  cant come could couldnt day did didnt do does doesnt doing dont else enough enjoy enjoyed ever every everything except feel few film find
  first for forget from get give go going good got great had hard has hate hated have havent he hear heard help her here hey hi him
  his hmm how i id if ill im in instead interested is isnt it its ive just keep kind know last less let lets like liked lol long look
  looking lot love loved made make many maybe me mean mind more most movie movies much music must my need neither never nice no nope nor not nothing
  now of off oh ok okay on one only or other our out over please pls put rather really right said saw say see seen she should shouldnt show
  skip so some someone something stand still stop such sure take than thank thanks that thats the their them then there these they thing
  things think this those though time to today tonight too try two up us very want was wasnt watch watched way we well went were
  what when where which while who whole why will wish with without wont would wouldnt yeah year yes yesterday yet you your youre
  awful boring horrible honestly overrated suck sucked sucks terrible worst`);

/** Frequent words of other languages in Latin script: German, French, Spanish, Italian, Portuguese and Dutch. */
const OTHERS = words(`
  aber alles als am an auch auf aus bei bin bitte da das dass dem den der des die doch du ein eine einen er es etwas fur gibt habe hat heute
  ich ihr im in ist ja kein keine keinen lieber mag man mehr mich mir mit mochte nach nein nicht nichts noch nur oder schon sehr sie sind so
  und von war was wie will wir wunderbar zu
  au aussi avec bien ce cest cette dans de du elle en est et etait il jaime je la le les mais me merci mon ne non nous on ou pas plus pour
  que qui sans si suis sur tres tu un une veux voir vous
  al algo con como de del el ella en era es esta este gracias gusta gusto hay la las lo los mas me mi muy no nada para pelicula pero por prefiero
  puedo que quiero se si sin son su te tengo tu un una ver y ya yo
  anche bello che ci come con cosa da di e film fuori gli grazie ho il io lo ma mi mio molto ne nel niente o per perche piace piaciuto piu quello
  questo sono stato ti tutto un vedere voglio vorrei
  ao com da das do dos e ela ele em estou eu foi gosto isso mais mas meu muito nada nao obrigado os ou para por quero sem ser tem um uma voce
  alleen als bij dan dat de deze die dit een en geen goed graag heb heel het hij ik is je maar meer mij mijn naar niet niets nog of om ook op
  te van vind voor vond waar was wat we wel wij wil zijn zo`);

const OTHER_SCRIPT = /[[\p{L}]--[\p{Script=Latin}]]/v;
const SHARED = ENGLISH.intersection(OTHERS);

/** Of its words without names, so many must be frequent English ones. */
const MIN_SHARE = 0.25;

/**
 * Whether a text is English, by the share of frequent English words: cheap, and decided for a few words too. Words that it has in common
 * with other languages decide nothing between them. `words` are in lower case, without accents, apostrophes and names.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { isEnglish } from "./english.ts";
 *
 * assert.equal(isEnglish(["please", "no", "horror"]), true);
 * assert.equal(isEnglish(["no", "quiero", "ver"]), false);
 * ```
 */
export function isEnglish(words: readonly string[]): boolean {
  let [english, other, shared] = [0, 0, 0];
  for (const word of words) {
    if (SHARED.has(word)) shared++;
    else if (ENGLISH.has(word)) english++;
    else if (OTHERS.has(word) || OTHER_SCRIPT.test(word)) other++;
  }
  return english >= other && english + shared >= MIN_SHARE * words.length;
}

function words(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/));
}
