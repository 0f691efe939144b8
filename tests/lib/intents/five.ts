/** Small catalogues as a person writes them on the first day: five examples an intent, and what is then said. */
export interface Small {
  readonly name: string;
  readonly intents: readonly {
    readonly intent: string;
    readonly examples: readonly string[];
    /** Further sentences that mean it. */
    readonly said: readonly string[];
  }[];
}

/** Settings of the classifier were chosen on this one. */
export const BICYCLES: Small = {
  name: "a bicycle workshop",
  intents: [
    {
      intent: "book_repair",
      examples: [
        "Can I bring my bike in for a service on Friday?",
        "My brakes squeal, when could you look at them?",
        "I need a slot to get a puncture fixed.",
        "The gears keep slipping, can you repair that this week?",
        "I'd like to book a full check before my tour.",
      ],
      said: [
        "My chain came off and will not go back on, can you mend it?",
        "Is there an appointment free for a service tomorrow?",
        "A spoke is broken, could I drop the wheel off today?",
        "The front wheel wobbles, please have a look at it.",
        "When do you have time to adjust my brakes?",
      ],
    },
    {
      intent: "ask_price",
      examples: [
        "How much is a new inner tube?",
        "What do you charge for a service?",
        "Is there a discount for students?",
        "What would a child's bike cost me?",
        "Are the winter tyres cheaper as a pair?",
      ],
      said: [
        "What does it cost to replace a chain?",
        "How much are your cheapest helmets?",
        "Do members pay less?",
        "What is the price of an electric bike?",
        "Is a second-hand bike less expensive?",
      ],
    },
    {
      intent: "opening_hours",
      examples: [
        "When do you open on Saturdays?",
        "Are you closed on bank holidays?",
        "How late are you there tonight?",
        "Is the shop open over Christmas?",
        "What are your hours during the week?",
      ],
      said: [
        "Are you open on Sunday?",
        "What time do you close today?",
        "Are you there at eight in the morning?",
        "Do you shut for lunch?",
        "Until when can I come by on Thursday?",
      ],
    },
    {
      intent: "rent_bike",
      examples: [
        "Can we hire four bikes for the weekend?",
        "Do you lend cargo bikes by the hour?",
        "I want to rent an e-bike for a week.",
        "What do I need to show to hire a tandem?",
        "Is there a child seat with the rental bikes?",
      ],
      said: [
        "We would like to rent two bicycles for a day.",
        "Could I hire a mountain bike next month?",
        "Do your hire bikes come with a lock?",
        "Can I return a rented bike at another shop?",
        "Is a tandem available to rent on Sunday?",
      ],
    },
  ],
};

/** These were written before anything was chosen, and chose nothing. */
export const LIBRARY: Small = {
  name: "a library, three intents",
  intents: [
    {
      intent: "renew_loan",
      examples: [
        "Can I keep this book for another two weeks?",
        "Please extend my loans.",
        "My books are due tomorrow and I have not finished them.",
        "How do I renew online?",
        "I need the novel a bit longer.",
      ],
      said: [
        "Could you renew the three books on my account?",
        "I would like to extend the loan of a cookbook.",
        "The due date is today, may I have more time?",
        "Is it possible to borrow it for longer?",
        "How often can a loan be renewed?",
      ],
    },
    {
      intent: "find_book",
      examples: [
        "Do you have the new thriller by Tana French?",
        "Where are the books on gardening?",
        "I am looking for a German grammar.",
        "Is there a copy of Moby-Dick on the shelf?",
        "Which floor has the travel guides?",
      ],
      said: [
        "Have you got a biography of Marie Curie?",
        "I cannot find the science fiction section.",
        "Is the second volume in stock?",
        "Where would I look for poetry?",
        "I want a picture book about dinosaurs.",
      ],
    },
    {
      intent: "library_card",
      examples: [
        "How do I get a library card?",
        "I lost my card, can I have a new one?",
        "What does membership cost for a family?",
        "My card has expired.",
        "Do children need their own card?",
      ],
      said: [
        "I'd like to become a member.",
        "My membership card was stolen.",
        "What do I have to bring to sign up for a card?",
        "Can my son get a card of his own?",
        "The machine does not accept my library card.",
      ],
    },
  ],
};

export const TENANTS: Small = {
  name: "a landlord, six intents",
  intents: [
    {
      intent: "heating",
      examples: [
        "The radiators are cold.",
        "There is no hot water since this morning.",
        "Our boiler makes a banging noise.",
        "The heating cannot be turned off in the bedroom.",
        "The thermostat shows an error.",
      ],
      said: [
        "We have been without heating for two days.",
        "The water in the shower stays cold.",
        "The boiler has broken down again.",
        "My radiator leaks and does not get warm.",
        "It is freezing in the flat, the heater does nothing.",
      ],
    },
    {
      intent: "rent_payment",
      examples: [
        "Can I pay the rent a week later this month?",
        "Which account do I transfer the rent to?",
        "Did you get my payment for June?",
        "Why has the rent gone up?",
        "I would like to set up a standing order for the rent.",
      ],
      said: [
        "Has my rent for May arrived?",
        "I cannot pay the whole rent by the first.",
        "Please send me your bank details for the rent.",
        "How much will the rent be from January?",
        "I paid the rent twice by mistake.",
      ],
    },
    {
      intent: "noise",
      examples: [
        "The neighbours play loud music at night.",
        "There is shouting upstairs every evening.",
        "A dog barks all day in the flat next door.",
        "They are drilling at seven on Sundays.",
        "Somebody had a party until four again.",
      ],
      said: [
        "The people above us stamp about after midnight.",
        "I can't sleep because of the music next door.",
        "Another loud party in the building last night.",
        "The neighbour's dog does not stop barking.",
        "Can you do something about the noise on the third floor?",
      ],
    },
    {
      intent: "keys",
      examples: [
        "I have locked myself out.",
        "May I have another key for my partner?",
        "The lock of the front door sticks.",
        "I lost the key to the cellar.",
        "Who has a spare key to the flat?",
      ],
      said: [
        "I left my keys inside and the door is shut.",
        "We need two more keys to the house.",
        "My key broke off in the lock.",
        "How do I get a copy of the mailbox key?",
        "My keys were stolen, please change the lock.",
      ],
    },
    {
      intent: "moving_out",
      examples: [
        "I want to end my lease in September.",
        "How much notice do I have to give?",
        "When do I get my deposit back?",
        "Do I have to paint the walls before I leave?",
        "When can we do the handover of the flat?",
      ],
      said: [
        "We are moving out at the end of the year.",
        "I'd like to give notice on my flat.",
        "The deposit has not been paid back yet.",
        "What has to be cleaned before the handover?",
        "Can I leave the lease before it ends?",
      ],
    },
    {
      intent: "parking",
      examples: [
        "Is there a parking space I could rent?",
        "Somebody parks on my spot.",
        "The garage door does not open.",
        "Where can my visitors park?",
        "Could we have a charger for an electric car?",
      ],
      said: [
        "A stranger's car is in my parking space.",
        "I would like a garage for my car.",
        "The remote for the garage has stopped working.",
        "How much is a parking spot in the yard?",
        "May I charge my car in the underground car park?",
      ],
    },
  ],
};

/** What belongs to no catalogue; the first half was looked at while settings were chosen, the second half was not. */
export const SMALL_TALK: readonly string[] = [
  "hello there",
  "what is 2+2",
  "thanks a lot, that was very helpful",
  "good morning",
  "who won the football last night?",
  "tell me a joke",
  "you are a robot, aren't you?",
  "ok",
  "what's the weather like in Paris",
  "I love you",
  "haha, that is funny",
  "bye",
  "are you a real person?",
  "write a poem about the sea",
  "how are you today?",
  "lol",
  "what is the capital of Peru?",
  "happy birthday!",
  "do you like music?",
  "my cat is called Mimi",
  "never mind",
  "nice to meet you",
  "translate this into French",
  "I am bored",
];
