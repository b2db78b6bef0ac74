using System.Collections;
using System.Reflection;
using LightTunnel.Engine.Control;
using LightTunnel.Transport;
using LightTunnel.Tun;

namespace LightTunnel.Tests.Simulation;

/// <summary>
/// Measures every collection that a node holds, by walking its objects: a table that somebody adds one day is looked at too, without being
/// listed anywhere.
/// </summary>
internal static class TableSizes
{
    private static readonly Dictionary<Type, FieldInfo[]> Fields = [];
    private static readonly Dictionary<Type, Func<object, int>?> Counters = [];
    private static readonly Lock Known = new();

    /// <summary>The largest collection of each field, as "Type.field": "PeerTraversal._paths".</summary>
    public static Dictionary<string, int> Of(Node node)
    {
        var largest = new Dictionary<string, int>();
        var seen = new HashSet<object>(ReferenceEqualityComparer.Instance) { node };
        var waiting = new Stack<object>(seen);
        lock (Known)
        {
            while (waiting.TryPop(out object? owner))
                Look(owner, largest, seen, waiting);
        }

        return largest;
    }

    private static void Look(object owner, Dictionary<string, int> largest, HashSet<object> seen, Stack<object> waiting)
    {
        foreach (FieldInfo field in FieldsOf(owner.GetType()))
        {
            if (field.GetValue(owner) is not { } value)
                continue;
            if (CounterOf(value.GetType()) is { } count)
            {
                string name = $"{owner.GetType().Name}.{field.Name}";
                largest[name] = Math.Max(largest.GetValueOrDefault(name), count(value));
                foreach (object element in ElementsOf(value))
                    Visit(element, seen, waiting);
            }
            else
            {
                Visit(value, seen, waiting);
            }
        }
    }

    private static void Visit(object value, HashSet<object> seen, Stack<object> waiting)
    {
        if (IsEngine(value.GetType()) && (value.GetType().IsValueType || seen.Add(value)))
            waiting.Push(value);
    }

    /// <summary>What a collection holds, as far as it can hold more collections.</summary>
    private static IEnumerable<object> ElementsOf(object collection)
    {
        Type[] held = collection.GetType().GetGenericArguments();
        if (!held.Any(IsEngine))
            return [];
        return collection switch
        {
            IDictionary pairs => pairs.Values.Cast<object>().Concat(pairs.Keys.Cast<object>()),
            IEnumerable all => all.Cast<object>(),
            _ => [],
        };
    }

    private static FieldInfo[] FieldsOf(Type type)
    {
        if (Fields.TryGetValue(type, out FieldInfo[]? known))
            return known;
        var fields = new List<FieldInfo>();
        for (Type? declaring = type; declaring is not null && IsEngine(declaring); declaring = declaring.BaseType)
        {
            fields.AddRange(declaring
                .GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly)
                .Where(field => IsEngine(field.FieldType) || field.FieldType.IsGenericType || field.FieldType.IsInterface));
        }

        return Fields[type] = [.. fields];
    }

    /// <summary>Reads the number of elements; null for what is no collection.</summary>
    private static Func<object, int>? CounterOf(Type type)
    {
        if (Counters.TryGetValue(type, out Func<object, int>? known))
            return known;
        PropertyInfo? count = type.Namespace?.StartsWith("System.Collections", StringComparison.Ordinal) == true
            ? type.GetProperty("Count")
            : null;
        return Counters[type] = count is null ? null : collection => (int)count.GetValue(collection)!;
    }

    /// <summary>The engine's own types, without what stands for the machine: device, socket and log belong to the simulation.</summary>
    private static bool IsEngine(Type type) =>
        type.Assembly == typeof(Node).Assembly && !type.IsEnum && !typeof(Delegate).IsAssignableFrom(type)
        && type.Namespace is not "LightTunnel.Diagnostics" && !typeof(ITunDevice).IsAssignableFrom(type)
        && !typeof(IDatagramTransport).IsAssignableFrom(type);
}
