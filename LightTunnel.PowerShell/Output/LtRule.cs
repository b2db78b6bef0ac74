using LightTunnel.Access;

namespace LightTunnel;

/// <summary>An access rule: who may begin to talk to whom, and about what. Its text is its number.</summary>
public sealed class LtRule
{
    internal LtRule(RuleStatus status)
    {
        Network = status.Tunnel;
        Number = status.Number;
        Name = status.Name;
        From = new(status.From);
        To = new(status.To);
        Protocol = (LtRuleProtocol)status.Protocol;
        Port = new(status.Ports);
        Action = (LtRuleAction)status.Action;
        Enabled = status.Enabled;
        Dropped = status.Dropped;
    }

    /// <summary>Name of the tunnel.</summary>
    public string Network { get; }

    /// <summary>Its place among the others, of which the first that fits decides; 0 for client isolation.</summary>
    public int Number { get; }

    /// <summary>What it is for; empty for nothing.</summary>
    public string Name { get; }

    /// <summary>Who begins.</summary>
    public LtList<string> From { get; }

    /// <summary>Who is talked to.</summary>
    public LtList<string> To { get; }

    /// <summary>By which protocol.</summary>
    public LtRuleProtocol Protocol { get; }

    /// <summary>At which ports of who is talked to; none for all.</summary>
    public LtList<string> Port { get; }

    /// <summary>What becomes of it.</summary>
    public LtRuleAction Action { get; }

    /// <summary>False for one that does not count.</summary>
    public bool Enabled { get; }

    /// <summary>Packets that this node has dropped because of it, since it was started or since the rule is there.</summary>
    public long Dropped { get; }

    /// <summary>The number.</summary>
    public override string ToString() => Number.ToString(System.Globalization.CultureInfo.InvariantCulture);
}

/// <summary>What access rules say to a connection.</summary>
public sealed class LtRuleTest
{
    internal LtRuleTest(RuleVerdict verdict, RuleQuestion question)
    {
        Network = verdict.Tunnel;
        From = question.From;
        To = question.To;
        Source = verdict.Source.ToString();
        Destination = verdict.Destination.ToString();
        Protocol = (LtRuleProtocol)question.Protocol;
        Port = question.Protocol is RuleProtocol.Tcp or RuleProtocol.Udp ? question.Port : null;
        Action = (LtRuleAction)verdict.Action;
        Rule = verdict.Rule is null ? null : new LtRule(verdict.Rule);
    }

    /// <summary>Name of the server.</summary>
    public string Network { get; }

    /// <summary>Who begins, as asked.</summary>
    public string From { get; }

    /// <summary>Who is talked to, as asked.</summary>
    public string To { get; }

    /// <summary>Address of who begins.</summary>
    public string Source { get; }

    /// <summary>Address of who is talked to.</summary>
    public string Destination { get; }

    /// <summary>By which protocol.</summary>
    public LtRuleProtocol Protocol { get; }

    /// <summary>At which port; null where there are none.</summary>
    public int? Port { get; }

    /// <summary>What becomes of it.</summary>
    public LtRuleAction Action { get; }

    /// <summary>The rule that decides; null when none does, so that it is allowed.</summary>
    public LtRule? Rule { get; }

    /// <summary>"Allow".</summary>
    public override string ToString() => Action.ToString();
}
