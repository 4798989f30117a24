"""Short forms of English that are written with a full stop, by what may follow them. Light.

All are in small letters and without the last full stop.
"""

from __future__ import annotations


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


TITLES = word_set(
    "mr mrs ms mx dr drs prof profs rev revd fr br sr hon gen brig col lt ltc lieut sgt cpl pvt "
    "pfc capt cmdr cdr adm maj ens gov sen rep reps sens pres amb supt insp det messrs mme mlle "
    "mm msgr mgr bp abp rt mt mts ft st ste mount atty asst assoc sra srta cllr ald hrh"
)
"""Stand before a name."""

NEVER_LAST = word_set(
    "e.g eg i.e ie vs v viz cf ca approx appx aka a.k.a p.s p.p.s incl excl resp esp abbr feat "
    "n.b nb w.r.t née fka f.k.a nom"
)
"""Are always followed by what they refer to."""

BEFORE_NUMBERS = word_set(
    "no nos nr fig figs p pp pg pgs vol vols ch chap chaps sec secs sect sects eq eqs eqn eqns art "
    "arts op bk bks pt pts par para paras tab tbl ref refs app ext apt ste rm fl flt rt rte hwy "
    "tel est b d r ver c ex exs exx ed eds ll nn q qs cl sched max min avg temp ph mob al co ave "
    "rd psalm ps matt mk lk rom cor gal eph phil col thess tim heb deut lev num josh isa jer ezek"
)
"""Stand before a number."""

MONTHS_AND_DAYS = word_set(
    "jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed weds thu thur thurs fri "
    "sat sun"
)

AFTER_NAMES = word_set(
    "inc corp ltd co cos llc llp plc bros jr sr esq ave av blvd rd dr st sts ln hwy pkwy pl ct "
    "sq ter expy bldg bldgs dept depts div univ inst assn assoc comm intl natl govt mfg dist acad "
    "coll hosp al ibid etc ala ariz ark calif colo conn del fla ill kan mass md mich minn miss "
    "mont neb nev okla ore pa penn tenn tex va vt wash wis wyo ont que misc est mgmt admin treas "
    "exec attn encl fed trans transl illus publ mss"
)
"""Stand after a name or a word, and may end a sentence."""

UNITS = word_set(
    "in ft yd yds mi sq cu oz lb lbs pt pts qt qts gal gals tsp tsps tbsp tbsps hr hrs min mins "
    "sec secs mo mos wk wks yr yrs mph kg km cm mm ml mg deg doz cwt hp rpm kw"
)
"""Stand after a number, and may end a sentence."""

SHORT_FORMS = TITLES | NEVER_LAST | BEFORE_NUMBERS | MONTHS_AND_DAYS | AFTER_NAMES | UNITS

ALSO_WORDS = word_set(
    "no in sat sun mar art pop ill mass wash miss ore ed ex app pa gal lev max min ref par tab "
    "nom rom phil tim cor mon wed mount del ens sec ter psalm ext brig ie ca fed"
)
"""Written with a small letter, these are (also) words of their own."""

NEVER_WORDS_BEFORE_NUMBERS = word_set("no max min ref ex app sec ext ca psalm")
"""Of ALSO_WORDS, those that are short forms before a number."""

LABELS = word_set(
    "plan vitamin appendix app fig figure part section exhibit group type grade class step option "
    "point room gate block unit hepatitis team model column row side letter note table"
)
"""Stand before a letter that is no initial: plan B."""

TIME_ZONES = word_set("et est edt ct cst cdt mt mst mdt pt pst pdt gmt utc bst cet cest ist jst")

DAY_NAMES = word_set(
    "monday tuesday wednesday thursday friday saturday sunday january february march april may "
    "june july august september october november december"
)

SENTENCE_STARTERS = word_set(
    "a an the he she it they we you i this that these those there then but and or so nor if when "
    "whenever while where who whose what which why how his her its their our my your no nobody "
    "none nothing nowhere everyone everybody everything someone somebody something anyone anybody "
    "anything each every either neither some many most few several all both another other others "
    "much more less such same in on at after before during since until till as for from with "
    "without within by to of under over between behind beside beyond above below across along "
    "around about against once now later soon today tonight tomorrow yesterday here however "
    "perhaps maybe yes yeah please let let's do does did don't doesn't didn't is isn't are aren't "
    "was wasn't were be been being am have has had can can't could may might must will won't "
    "would shall should not never always often sometimes only even also still yet because although "
    "though unless meanwhile therefore thus hence instead moreover furthermore besides finally "
    "first second third next eventually suddenly afterwards again nevertheless nonetheless "
    "otherwise indeed ask go take see turn use come get give look make keep call tell try bring "
    "leave put read write stay wait stop run think remember imagine consider note people just "
    "like unlike despite according whether whatever whoever well oh ah okay ok thanks thank two "
    "three four five six seven eight nine ten out up down off through into"
)
"""Common first words of a sentence that are seldom part of a name."""

SPEECH_VERBS = word_set(
    "said says say asked asks cried cries whispered whispers shouted shouts yelled yells called "
    "calls replied replies answered answers added adds murmured muttered exclaimed screamed "
    "snapped hissed growled groaned sighed laughed smiled gasped sobbed demanded inquired "
    "enquired insisted suggested begged pleaded ordered roared bellowed wondered thought thinks "
    "continued repeated protested warned agreed admitted announced declared returned interrupted "
    "observed remarked responded retorted went stammered grunted mumbled breathed barked croaked "
    "drawled joked lied mused sneered sang shrieked spat squealed urged vowed wailed whimpered "
    "whined wrote rejoined resumed put queried began cheered"
)

DETERMINERS = word_set("the a an my your his her our their this that to by with and no")
