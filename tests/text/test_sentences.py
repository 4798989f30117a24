"""Sentence ends: short forms, initials, quotes, speech tags, numbers and marks of all kinds."""

from __future__ import annotations

import pytest

from text.sentences import find_speakers, is_short_form, split_enclosed_sentences, split_sentences

# Every " / " is where a sentence ends.
SENTENCES = """
On Feb. 3 the ice broke. / Boats went out.
We met on Tues. the 4th of Aug. last year. / It was hot.
Classes end in Dec. / The hall stays open.
From Nov. to Mar. the road is closed. / Use the tunnel.
Sat. and Sun. are free. / Come along.
Halvard Bros. sold the mill. / Nobody minded.
He works for Pelham Inc. in Leeds. / He likes it.
She joined Quarry Ltd. / They pay well.
Dunmore Co. Chairman Ida Brandt resigned. / The board met.
The firm is Ash, Lowe & Co. / It was founded by two brothers.
Prof. Imre Vass and Dr. Lena Holt agreed. / They signed it.
Rev. Moss read aloud. / Sgt. Pike slept.
Hon. Judge Carew sat down. / The hall was silent.
Adm. Thorne and Cmdr. Blythe left. / The ship waited.
I saw the Dr. / He told me to rest.
Mme. Duval and Mlle. Petit came. / Messrs. Low and High stayed.
Ft. Wexley fell in May. / Mt. Hale did not.
She climbed Mt. Orrin alone. / It took two days.
St. Aldric built it. / St. Mary's church is older.
They live on Oak St. / The house is blue.
He turned into Pine St. and stopped. / Nothing moved.
Turn onto Elm Rd. at the light. / Then stop.
It stands on Fifth Ave. near the park. / You cannot miss it.
Ed Marsh Jr. and Ed Marsh Sr. met. / They shook hands.
Lyle Crane Jr. / He was a sailor.
The U.K. and the U.S. signed. / France did not.
She moved to the U.K. / Her brother stayed.
The U.N. Security Council met. / No one spoke.
They moved to Washington, D.C. / They liked it.
He studied in the U.S. and Canada. / Then he came home.
The C.I.A. denied it. / Few believed them.
Her B.A. is from Durham. / She has no M.Sc. yet.
Texts through A.D. 200 are there. / Later ones are not.
Write to Fern Hall, Washington, D.C. 20408 today. / They answer.
He got his Ph.D. / Then he left.
She holds an M.B.A. and a J.D. from Yarrow. / It helps.
It opens at 8 a.m. daily. / Bring a card.
The train left at 11 p.m. / Nobody waved.
We open at 9 a.m. Monday. / Please knock.
Call before 5 p.m. EST. / We close early.
It ended at 6 p.m. / Tom was late.
It rained until 4 p.m. / Everyone went home.
See Nos. 4 and 5. / Both are cheap.
Room No. 12 is free. / Take it.
He said no. / She said yes.
He said no. / 40 people left.
Is it far? / No. / It is near.
See vol. 3, ch. 2, p. 14 for more. / It is dull.
Read pp. 3 to 9 and sec. 4. / Skip the rest.
Eq. 7 follows from Eqs. 2 and 3. / Fig. 5 shows it.
Vol. II is lost. / Vol. III was never written.
Art. 5 of the treaty is short. / Few know it.
Symphony No. 9, Op. 125, is long. / It ends loudly.
Ext. 42 is busy. / Try ext. 43.
The bridge is approx. 90 m long. / It sways.
He was born ca. 1820. / She was born in 1825.
Take fruit, e.g. Pink Lady apples. / They keep.
The capital, i.e. Paris, is large. / It is old.
It was Reds vs. Blues. / The Blues won.
Compare cf. Miller on this. / He differs.
They sell tea, rice, etc. / Prices vary.
Tea, rice, etc. are sold here. / Prices vary.
Oram et al. disagree. / So do I.
The box weighs 40 lbs. and is wet. / Lift with care.
It is 6 ft. tall. / Mind the door.
Add 2 tbsp. of oil. / Stir.
It is 5 in. wide. / It fits.
The govt. acted at last. / It was late.
The univ. library is shut. / Go home.
A. B. Frost drew it. / It is rare.
J. Holm and K. Vance ran. / They won.
The author, T. S. Varley, is dead. / His books live.
She is Anna K. Lindqvist. / He is Per.
We chose plan B. / It failed.
Take vitamin C. / It helps.
It was I. / He knew it.
"Come in!" she called. / The cat ran.
"Why?" asked Bram. / No one knew.
"Stop!" Tom shouted. / Nobody did.
"Stop!" / The guard raised his hand.
“Where are you?” Nora whispered. / The line was dead.
'Look!' he said. / It was gone.
"I see." / He nodded.
"I see," he said. / "Go on." / She did.
He read "Emma. A Novel." twice. / He liked it.
She shouted "Run!" and ran. / We followed.
(It was late.) / We left.
The house (built in 1900. Really.) burned. / It was old.
Well... I do not know. / Ask her.
So... what now? / Nobody spoke.
I... I cannot say. / Forgive me.
He waited… and waited. / Then he left.
It was over... / They went home.
Ha! / That was good. / Was it?
What?! / You did? / Yes!!! / Good.
Really?? / She laughed.
The price is 4.50 now. / It was 5.25.
Use version 3.2.1 today. / It is stable.
Visit www.hale-mill.org today. / It is open.
Mail a.holm@site.org now. / They answer.
It ended in 1998. / Twenty came.
It ended in 1998. / 20 people came.
1. Open the box. / 2. Close it.
The end.[4] / A new start.
i like it. / it is nice. / we stay.
The D.A. said no. / We left.
The max. load is two tons. / The min. age is ten.
See Ch. 7 and App. B. / Skip Ch. 8.
She is 6 ft. 2 in. tall. / He is 5 ft. 4. / They met.
Est. 1902, the shop is small. / It sells hats.
Wait 5 min. and stir. / Then serve.
The N.A.S.A. probe landed. / It sent pictures.
Compare Smith et al. 1999 with Lee et al. 2004. / They agree.
“Never!” the old woman shouted. / He left.
Ask J. about it. / He knows.
The U.S.-based firm closed. / It owed money.
She lives in St. Paul. / He lives in St. Louis.
He lives in Boston, Mass. / She lives in Tampa, Fla. / They write.
Birds, e.g., finches, sing. / So do frogs.
It is Brown v. Board again. / Read it.
P.S. I love you. / Write soon.
He has a dog. / eBay sold it.
Note: approx. values only. / See below.
The temp. is low. / Dress warm.
Add salt, pepper etc. / Serve hot.
Gen. Lee's horse was grey. / Col. Roe's was brown.
The St. Ives road is narrow. / Drive slowly.
Is that you, Mr. Bell? / It is.
天気がいい。 / 散歩しよう。
""".strip().splitlines()


@pytest.mark.parametrize("marked", SENTENCES)
def test_sentences_end_where_a_reader_ends_them(marked: str) -> None:
    text = marked.replace(" / ", "" if "。" in marked else " ")
    assert split_sentences(text) == marked.split(" / ")


def test_a_missing_blank_after_a_full_stop_does_not_hide_it() -> None:
    assert split_sentences("It is done.Then we left.") == ["It is done.", "Then we left."]
    assert split_sentences("Ask ASP.Net or Node.js there.") == ["Ask ASP.Net or Node.js there."]


def test_a_quote_is_split_only_where_it_must_be() -> None:
    text = 'He said, "I am late. Do not wait. Go." and left.'
    assert split_sentences(text) == [text]
    assert split_enclosed_sentences(text) == [
        'He said, "I am late.', "Do not wait.", 'Go."', "and left.",
    ]  # fmt: skip


def test_a_quote_or_bracket_that_never_closes_hides_no_sentence_end() -> None:
    assert split_sentences('A 5" pipe. It (the pipe broke. We left.') == [
        'A 5" pipe.', "It (the pipe broke.", "We left.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('"Is it far?" asked Nell.', {"nell"}),
        ('"No," the old man said.', {"man"}),
        ("“Go!” he cried, “or stay,” said Bram.", {"he", "bram"}),
        ("She said nothing.", set()),
    ],
)
def test_speech_tags_tell_who_speaks(text: str, names: set[str]) -> None:
    assert find_speakers(text) == names


@pytest.mark.parametrize("word", ["Dr", "e.g", "p.m", "U.S", "J", "vs", "Blvd", "hrs", "No"])
def test_short_forms_are_known(word: str) -> None:
    assert is_short_form(word)


@pytest.mark.parametrize("word", ["house", "no", "I", "BBC", "sat", "rhythm", "it"])
def test_whole_words_are_no_short_forms(word: str) -> None:
    assert not is_short_form(word)
