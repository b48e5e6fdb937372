"""The instance mix at scale, by column generation with a last choice by MIP.

A *lane* is what is chosen apart (``_lanes``): a block of a unit that follows its load, or a month of one that does not.
A *column* is a whole choice of counts for a lane. The way of a solve (``plan``):

1. covers of one and two types for every lane, found once, priced in every round (``_covers``);
2. a master LP over the columns found so far and all that couples lanes: commitments owned and offered, reservations,
   quotas (``_coupling``, ``_master``); its duals price the next round (``rounds``), over all types in the end;
3. covers of any number of types once duals have settled (``_deep``);
4. a proven bound: knapsacks by lane at the duals (``_bound``), small MIPs where these are
   loose (``_loose``, ``_exact``);
5. the last choice, a MIP over the columns worth having (``_choice``); where a quota minds what a whole month
   provisions, over bundles of a unit's month (``_bundles``), the quota split over its lanes for the bound (``_split``);
6. what a solve leaves behind for the next: duals, columns and covers by the content of their unit (``memory``).

Every bound is a Lagrangian one: it holds whatever the duals are worth.
"""
